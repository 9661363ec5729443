#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# ext4 and xfs on the disk, mounted by the kernel through nbdfuse and a loop device: made, written,
# trimmed, unmounted, checked; all there under another server.  Needs root.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires_attach
requires mkfs.ext4 -V
requires mkfs.xfs -V

# attach: serve $device and set $loop to a block device of the disk.
attach() {
	start_nbdkit "$device" create=1G
	attach_disk
}

detach() {
	detach_disk
	stop_nbdkit
}

# check_file_system: with the disk attached and not mounted.
check_file_system() {
	case $1 in
	ext4) e2fsck -f -n "$loop" ;;
	xfs) xfs_repair -n "$loop" ;;
	esac > "$tmp/fsck.log" 2>&1 || fail "$1 is damaged: $(cat "$tmp/fsck.log")"
}

tried=
for type in ext4 xfs; do
	if ! grep -qw $type /proc/filesystems && ! modprobe -q $type; then
		continue
	fi
	tried=yes
	device $type
	mkdir "$tmp/$type"
	attach
	mkfs.$type -q "$loop"
	mount "$loop" "$tmp/$type"
	cleanup_fn umount "$tmp/$type"
	head -c 100M /dev/urandom > "$tmp/$type/kept"
	head -c 200M /dev/urandom > "$tmp/$type/deleted"
	mkdir "$tmp/$type/folder"
	for ((i = 0; i < 500; i++)); do
		echo $i > "$tmp/$type/folder/$i"
	done
	sum=$(sha256sum < "$tmp/$type/kept")
	sync -f "$tmp/$type"
	full=$(field pages_used)
	rm "$tmp/$type/deleted"
	# Unmounting ends what the file system frees in the background.
	umount "$tmp/$type"
	mount "$loop" "$tmp/$type"
	fstrim "$tmp/$type"
	trimmed=$(field pages_used)
	test $((full - trimmed)) -gt 50000 ||
		fail "$type: 51200 pages were deleted and trimmed; used: $full before, $trimmed after"
	umount "$tmp/$type"
	cleanup_done
	check_file_system $type
	detach
	check_device

	attach
	check_file_system $type
	mount "$loop" "$tmp/$type"
	cleanup_fn umount "$tmp/$type"
	test "$(sha256sum < "$tmp/$type/kept")" = "$sum" || fail "$type: a file changed"
	test "$(find "$tmp/$type/folder" -type f | wc -l)" -eq 500 || fail "$type: files are lost"
	umount "$tmp/$type"
	cleanup_done
	detach
	rm -f "$device"
done
test -n "$tried" || skip "this kernel has neither ext4 nor xfs"
