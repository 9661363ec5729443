#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# On a full file system a block that has its page can still be overwritten, by requests of any size: the
# kernel's cache must not hold its page and pages without storage as one (see pm_map()).
# Needs root, to mount file systems of its own.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires_root
requires qemu-io --version
requires mkfs.xfs -V

# try TYPE MKFS [OPTION...]
try() {
	local image=$tmp/$1.img args=() at i
	mount=$tmp/$1
	truncate -s 400M "$image"
	"${@:2}" "$image" > "$tmp/mkfs.log" 2>&1
	mkdir "$mount"
	mount -o loop "$image" "$mount" || skip "mount -o loop of $1 does not work here"
	cleanup_fn umount "$mount"
	device=$mount/disk
	"$kmemblk" format --create=128M "$device" > /dev/null
	start_nbdkit "$device"
	qemu-io -f raw -c 'write -P 1 0 64M' "$uri" > "$tmp/io" 2>&1
	sync -f "$mount"
	! dd if=/dev/zero of="$mount/filler" bs=1M 2> /dev/null || fail "it does not run full"
	! dd if=/dev/zero of="$mount/filler2" bs=4k 2> /dev/null || fail "it does not run full"
	sync -f "$mount"

	# Here and there, so that what was taken for one is used again in other ways.
	for ((i = 0; i < 256; i++)); do
		at=$((i * 37 % 64))
		args+=(-c "write -P $((i % 250 + 1)) ${at}M 1M")
	done
	qemu-io -f raw "${args[@]}" "$uri" > "$tmp/io" 2>&1 || true
	! grep -q -i 'fail\|error' "$tmp/io" || fail "$1: $(grep -i 'fail\|error' "$tmp/io")"
	end_process "$server"
	"$kmemblk" check "$device" > "$tmp/check" || fail "$1: $(cat "$tmp/check")"
}

try xfs mkfs.xfs -q
try ext4 mkfs.ext4 -q -m 0 -b 4096
