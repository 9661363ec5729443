#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# On a full file system a block that has its page can still be overwritten, by requests of any size: the
# kernel's cache must not hold its page and pages without storage as one (see pm_map()).
# Needs root, to mount file systems of its own.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

requires_root
requires mkfs.xfs -V

# try TYPE MKFS [OPTION...]
try() {
	local image=$tmp/$1.img commands=() at i
	mount=$tmp/$1
	truncate -s 400M "$image"
	"${@:2}" "$image" > "$tmp/mkfs.log" 2>&1
	mkdir "$mount"
	mount -o loop "$image" "$mount" || skip "mount -o loop of $1 does not work here"
	cleanup_fn umount "$mount"
	device=$mount/disk
	"$kmemblk" format --create=128M "$device" > /dev/null
	start_nbdkit "$device"
	must 'write -P 1 0 64M'
	sync -f "$mount"
	! dd if=/dev/zero of="$mount/filler" bs=1M 2> /dev/null || fail "it does not run full"
	! dd if=/dev/zero of="$mount/filler2" bs=4k 2> /dev/null || fail "it does not run full"
	sync -f "$mount"

	# Here and there, so that what was taken for one is used again in other ways.
	for ((i = 0; i < 256; i++)); do
		at=$((i * 37 % 64))
		commands+=("write -P $((i % 250 + 1)) ${at}M 1M")
	done
	must "${commands[@]}"
	end_process "$server"
	check_device
}

try xfs mkfs.xfs -q
try ext4 mkfs.ext4 -q -m 0 -b 4096
