#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Two blocks with one page are found and both are named; neither is guessed to be the owner.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M
entry 10 100
entry 2000 100
entry 2001 101
cp "$device" "$tmp/damaged"
for repair in '' --repair; do
	status 4 "$kmemblk" check $repair "$device"
	says out '^left: .*\bblock 10\b.*\bpage 100\b'
	says out '^left: .*\bblock 2000\b.*\bpage 100\b'
	test "$(grep -c '^left: ' "$tmp/out")" -eq 2 || fail "not these two: $(cat "$tmp/out")"
	cmp "$device" "$tmp/damaged" || fail "the device was changed"
done
