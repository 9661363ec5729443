#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A file system made over a device leaves the copy of the superblock behind: repair must not
# resurrect the device, and says what is there now.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

PATH=$PATH:/sbin:/usr/sbin
requires mkfs.ext4 -V
device d
# ext4 wipes the end of what it takes; made on half of the device, it leaves the copy as it was.
format --create=16M --label=old
mkfs.ext4 -q -F "$device" 8M
tail -c 4096 "$device" | grep -q old || fail "the copy is gone"
cp "$device" "$tmp/before"
for repair in '' --repair; do
	status 4 "$kmemblk" check $repair "$device"
	says out '^left: .*ext4'
	cmp "$device" "$tmp/before" || fail "the device was changed"
done
