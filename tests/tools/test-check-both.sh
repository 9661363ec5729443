#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# With both superblocks damaged nothing can be repaired without guessing: 4, and nothing is
# changed.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M
poke 100 5a
poke $(($(last_page) + 100)) 5a
cp "$device" "$tmp/damaged"
for repair in '' --repair; do
	status 4 "$kmemblk" check $repair "$device"
	says out '^left: .*superblock'
	cmp "$device" "$tmp/damaged" || fail "the device was changed"
done
