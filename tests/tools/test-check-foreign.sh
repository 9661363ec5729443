#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Something that was never a kmemblk device is a finding (4), and --repair writes nothing to it; nor to one
# that something else has been written over, also if it is of a kind that libblkid does not know.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
head -c 16M /dev/urandom > "$device"
cp "$device" "$tmp/before"
for repair in '' --repair; do
	status 4 "$kmemblk" check $repair "$device"
	says out '^left: '
	cmp "$device" "$tmp/before" || fail "the device was changed"
done

rm "$device"
format --create=16M
cp "$device" "$tmp/disk"
# A tar archive, an image of QEMU's, a text.
tar -C "$abs_top_srcdir" -cf "$tmp/tar" README.md HACKING.md
printf 'QFI\373\0\0\0\003' > "$tmp/qcow2"
head -c 60000 /dev/urandom >> "$tmp/qcow2"
cp "$abs_top_srcdir/README.md" "$tmp/text"
for other in tar qcow2 text; do
	cp "$tmp/disk" "$device"
	dd if="$tmp/$other" of="$device" conv=notrunc status=none
	cp "$device" "$tmp/before"
	for repair in '' --repair; do
		status 4 "$kmemblk" check $repair "$device"
		says out '^left: superblock \(page 0\): something else has been written there'
		cmp "$device" "$tmp/before" || fail "$other was changed"
	done
done
# As it says: when that is gone the disk can be had back.
cp "$tmp/disk" "$device"
dd if=/dev/zero of="$device" bs=4096 count=1 conv=notrunc status=none
status 1 "$kmemblk" check --repair "$device"
