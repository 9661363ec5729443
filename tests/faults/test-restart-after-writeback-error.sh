#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A leaf that the kernel could not write to its disk stays in its cache, taken for clean, and
# looks as if all were well.  A server that is started on that file makes it durable before it relies on
# it: what it then acknowledges is there after the host has started again (here: after a remount), and
# no page belongs to two blocks.
# Needs root, to mount a file system on a disk whose writes fail while a file says so.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

requires_root
requires nbdfuse --version
requires mkfs.xfs -V
requires test -e /dev/fuse
requires nbdkit --filter=error null --dump-plugin

mkdir "$tmp/fuse" "$tmp/mount"
loop=
unmount() {
	umount "$tmp/mount" 2> /dev/null || true
	test -z "$loop" || losetup --detach "$loop" || true
	loop=
}

# attach_store: $loop, a disk of $tmp/store whose writes fail while $tmp/broken exists.
attach_store() {
	loop=$(losetup --find --show --direct-io=on "$tmp/fuse/disk") ||
		skip "loop devices without the page cache do not work here"
}

remount() {
	unmount
	attach_store
	mount "$@" "$loop" "$tmp/mount"
}

# try MKFS MOUNT-OPTION...
try() {
	local store mkfs=$1
	shift
	truncate -s 0 "$tmp/store"
	truncate -s 400M "$tmp/store"
	nbdkit -f -U "$tmp/store.sock" -P "$tmp/store.pid" --filter=error file "$tmp/store" \
		error-pwrite=EIO error-pwrite-rate=100% error-pwrite-file="$tmp/broken" \
		2> "$tmp/store.log" &
	store=$!
	cleanup_fn end_process $store
	await_file $store "$tmp/store.pid" "$tmp/store.log" "no disk whose writes fail"
	nbdfuse --pidfile "$tmp/fuse.pid" "$tmp/fuse/disk" "nbd+unix:///?socket=$tmp/store.sock" &
	fuse=$!
	cleanup_fn end_process $fuse
	await_file $fuse "$tmp/fuse.pid" /dev/null "nbdfuse does not mount here"
	attach_store
	cleanup_fn unmount
	$mkfs "$loop" > "$tmp/mkfs.log" 2>&1
	mount "$@" "$loop" "$tmp/mount"

	device=$tmp/mount/disk
	"$kmemblk" format --create=8M --prealloc "$device" > /dev/null
	start_nbdkit "$device"
	must 'write -P 17 0 4k'
	must 'write -P 18 4k 4k'
	sync -f "$tmp/mount"
	touch "$tmp/broken"
	qemu_io 'discard 0 4k' > "$tmp/io" || true
	rm "$tmp/broken"
	grep -q 'Input/output error' "$tmp/io" || fail "the disk did not fail: $(cat "$tmp/io")"
	end_process "$server"

	# What it says to do, when the disk is well again.
	start_nbdkit "$device"
	must 'discard 0 4k'
	# In another leaf, whose flush would take this one along.
	must 'write -P 33 2400k 80k'
	end_process "$server"

	remount "$@"
	check_device
	start_nbdkit "$device"
	must 'read -P 0 0 4k'
	must 'read -P 18 4k 4k'
	must 'read -P 33 2400k 80k'
	end_process "$server"
	unmount
	end_process $fuse
	umount "$tmp/fuse" 2> /dev/null || true
	end_process $store
	rm -f "$tmp"/store.pid "$tmp"/fuse.pid "$tmp"/store.sock
}

try 'mkfs.ext4 -q' -o errors=continue,commit=300
try 'mkfs.xfs -q'
