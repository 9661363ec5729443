#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device on a file system that copies on write, btrfs or XFS after a copy by reference, while that
# is full: people are told beforehand, overwrites get ENOSPC and not EIO, no page goes out of use, and
# when there is room again the disk takes every write, without a restart.  A file that kmemblk makes
# on btrfs is overwritten in place: there a full file system does not matter.
# Needs root, to mount file systems of its own.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires_root
requires qemu-io --version
requires mkfs.btrfs --version
requires mkfs.xfs -V

# mount_fs TYPE: set $mount.  In a file beside the build, for tmpfs may be small.
mount_fs() {
	local image=$tmp/$1.img
	mount=$tmp/$1
	truncate -s 400M "$image"
	case $1 in
	btrfs) mkfs.btrfs -q -f "$image" > "$tmp/mkfs.log" ;;
	xfs) mkfs.xfs -q -f -m reflink=1 "$image" > "$tmp/mkfs.log" ;;
	esac
	mkdir "$mount"
	mount -o loop "$image" "$mount" || skip "mount -o loop of $1 does not work here"
	cleanup_fn umount "$mount"
}

fill() {
	! dd if=/dev/zero of="$mount/filler" bs=1M 2> /dev/null || fail "it does not run full"
	! dd if=/dev/zero of="$mount/filler2" bs=4k 2> /dev/null || fail "it does not run full"
	# What it can take; btrfs may have no room for its own notes any more.
	sync -f "$mount" || true
}

# write_all PATTERN: the whole disk, 64 KiB a request; what qemu-io says is in $tmp/write.log.
write_all() {
	local args=() at
	for ((at = 0; at < 8 << 20; at += 65536)); do
		args+=(-c "write -P $1 $at 64k")
	done
	qemu-io -f raw "${args[@]}" "$uri" > "$tmp/write.log" 2>&1 || true
}

expect_all_written() {
	write_all "$1"
	! grep -qi fail "$tmp/write.log" || fail "$fs: $(grep -i fail "$tmp/write.log")"
	qemu-io -r -f raw -c "read -P $1 0 8M" "$uri" > "$tmp/read.log" 2>&1 || true
	! grep -qi fail "$tmp/read.log" || fail "$fs: $(cat "$tmp/read.log")"
}

try() {
	local log
	"$kmemblk" info "$device" > "$tmp/info"
	grep -q '^  overwriting  its file system copies ' "$tmp/info" || fail "$(cat "$tmp/info")"
	start_nbdkit "$device"
	log=$tmp/nbdkit$servers.log
	grep -q "warning: $device: its file system copies .*ENOSPC" "$log" || fail "$(cat "$log")"
	# A copy that is made while the file is served is of no instant.
	test "$fs" != xfs || grep -q 'ENOSPC .*: end the server, copy the file by cp --reflink=never' "$log" ||
		fail "$(cat "$log")"
	expect_all_written 1
	stop_nbdkit

	# Shared again, or copied each time.
	test "$fs" != xfs || cp --reflink=always "$device" "$mount/copy2"
	fill
	start_nbdkit "$device"
	log=$tmp/nbdkit$servers.log
	write_all 2
	grep -q 'write failed: No space left on device' "$tmp/write.log" ||
		fail "$fs: not full: $(tail -n 3 "$tmp/write.log")"
	! grep -q 'Input/output error' "$tmp/write.log" ||
		fail "$fs: taken for bad media: $(grep failed "$tmp/write.log" | sort | uniq -c)"
	grep -q "write: $device: its file system has no room for a store to page" "$log" ||
		fail "$fs: $(cat "$log")"
	# More often than the spare has pages.
	write_all 3
	write_all 4
	! grep -q 'Input/output error' "$tmp/write.log" || fail "$fs: $(cat "$log")"
	rm "$mount/filler" "$mount/filler2"
	expect_all_written 5
	stop_nbdkit
	check_device
}

fs=xfs
mount_fs xfs
"$kmemblk" format --create=9M --size=8M --prealloc "$mount/disk"
! "$kmemblk" info "$mount/disk" | grep -q '^  overwriting' || fail "it shares nothing yet"
cp --reflink=always "$mount/disk" "$mount/copy"
device=$mount/disk
try

fs=btrfs
mount_fs btrfs
device=$mount/disk
truncate -s 9M "$device"
"$kmemblk" format --size=8M --prealloc "$device"
try

# Made by kmemblk: no copies, no warning, and room or not is all the same.
rm "$device"
"$kmemblk" format --create=9M --size=8M --prealloc "$device"
! "$kmemblk" info "$device" | grep -q '^  overwriting' || fail "not made to be overwritten in place"
fill
start_nbdkit "$device"
expect_all_written 6
stop_nbdkit
check_device
