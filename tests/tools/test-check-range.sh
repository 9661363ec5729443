#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# An entry that names a page where no block can be is found, with the number of the block; it
# stays: nobody knows what it should be.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
# wild PAGE: an entry that names it is damage.
wild() {
	format --create=16M
	entry 0 100
	entry 1234 "$1"
	cp "$device" "$tmp/damaged"
	for repair in '' --repair; do
		status 4 "$kmemblk" check $repair "$device"
		says out '^left: .*block 1234\b'
		test "$(grep -c '^left: ' "$tmp/out")" -eq 1 || fail "more than one: $(cat "$tmp/out")"
		cmp "$device" "$tmp/damaged" || fail "the device was changed"
	done
	rm "$device"
}
wild 1
wild 4095
wild 4096
wild 0x7fffffffff
# A bit that turned: in the page, in the check value, the parity itself.
wild bits:0x64
wild bits:0x8000010000000064
wild bits:0x8000000000000065
wild bits:0xc000000000000064
