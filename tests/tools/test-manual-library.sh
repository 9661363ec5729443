#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The manual page of the library names every call that the header has, and its example is
# examples/hello.c.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

pod=$abs_top_srcdir/man/libkmemblk.pod

grep -ho '\bkmemblk_[a-z_]*(' "$abs_top_srcdir"/include/kmemblk{,-borrower,-control,-volume}.h | tr -d '(' | sort -u |
	while read -r call; do
		grep -q "^=item B<$call>" "$pod" || fail "$call is not in $pod"
	done
sed -n '/^=head1 EXAMPLE/,/^=head1 /p' "$pod" | grep '^\( \|$\)' | sed 's/^ //' |
	sed -n '/^#include/,/^}$/p' > "$tmp/manual.c"
sed -n '/^#include/,/^}$/p' "$abs_top_srcdir/examples/hello.c" | expand > "$tmp/hello.c"
diff "$tmp/hello.c" "$tmp/manual.c" >&2 || fail "the example differs from examples/hello.c"
requires command -v podchecker
podchecker "$pod" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
