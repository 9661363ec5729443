#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The dynamic linker has nothing to say of a set-user-ID program that a program under kmemblk run starts:
# it does not load for such a program what kmemblk run preloads, silently where that is named by a path.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

# As root no user is set, so it is another user.
as_user=()
if test "$(id -u)" -eq 0; then
	requires setpriv --reuid=65534 --regid=65534 --clear-groups true
	as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chmod 755 "$tmp"
fi
# Each prints its usage and ends.
for program in /usr/bin/su /bin/su /usr/bin/passwd /usr/bin/newgrp ''; do
	test -z "$program" || ! test -u "$program" || break
done
test -n "$program" || skip "no set-user-ID program here"

lender 256M lend-mode=0666
# shellcheck disable=SC2016  # the inner shell expands it
"${as_user[@]}" "${run[@]}" -- sh -c '"$1" --help; true' sh "$program" > "$tmp/out" 2>&1
grep -qi usage "$tmp/out" || fail "$program --help says $(cat "$tmp/out")"
if grep -E 'ld\.so|preload' "$tmp/out" >&2; then
	fail "the dynamic linker complains of $program"
fi
