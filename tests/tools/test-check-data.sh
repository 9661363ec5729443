#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# check --data finds the block whose page has changed, and check alone does not; a device formatted without
# check values says that it has none.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M --prealloc
status 0 "$kmemblk" check --data "$device"
says out 'clean \(4018 entries, 4018 pages used, 4018 verified\)$'

page=$(page_of 7)
poke $((page * 4096 + 99)) 01
cp "$device" "$tmp/damaged"
status 0 "$kmemblk" check "$device"
for repair in '' --repair; do
	status 4 "$kmemblk" check --data $repair "$device"
	says out "^left: kmem0: block 7: page $page does not hold what was written there: write or trim the whole block$"
	says out '1 left \(4018 entries, 4018 pages used, 4017 verified\)$'
	cmp "$device" "$tmp/damaged" || fail "the device was changed"
done
status 4 "$kmemblk" check --data --json "$device"
json_is 'j["verified"]' 4017
rm "$device"

format --create=16M --prealloc --check=none
poke $(($(page_of 7) * 4096 + 99)) 01
status 0 "$kmemblk" check --data "$device"
says out '^note: the device was formatted without check values'
status 0 "$kmemblk" info --json "$device"
json_is 'j["check"]' none
rm "$device"

status 8 "$kmemblk" format --create=16M --check=md5 "$device"
says err 'no check values "md5"; there are: crc24, none'
