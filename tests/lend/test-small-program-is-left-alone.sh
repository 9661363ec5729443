#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A program whose heap is small has libc's malloc, no thread beside its own, no loan, and of all
# libraries one more than without: so have those that it starts.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 128M

# libraries < maps
libraries() {
	awk '$6 ~ /\.so/ { print $6 }' | sort -u
}

# shellcheck disable=SC2002  # the maps are those of cat
cat /proc/self/maps | libraries > "$tmp/without"
for words in 'cat /proc/self/maps' 'bash -c "cat /proc/self/maps; true"'; do
	eval "\"\${run[@]}\" -- $words" > "$tmp/maps"
	libraries < "$tmp/maps" | grep -v '/libkmemblk-preload\.so$' > "$tmp/with"
	diff "$tmp/without" "$tmp/with" || fail "$words has other libraries"
	! grep -F "$device" "$tmp/maps" || fail "$words has loans"
	grep -q '\[heap\]' "$tmp/maps" || fail "$words has not libc's malloc"
done
threads=$("${run[@]}" -- sed -n 's/^Threads:\t//p' /proc/self/status)
test "$threads" -eq 1 || fail "it has $threads threads"
