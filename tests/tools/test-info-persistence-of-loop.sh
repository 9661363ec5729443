#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What a device on a loop device survives is judged by the file that this is on, and not by another that
# has its name by now; and an overlay that is mounted as volatile survives no restart.
# Needs root, to mount file systems of its own.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires_root
mkdir "$tmp/memory" "$tmp/other" "$tmp/mount"
mount -t tmpfs tmpfs "$tmp/memory"
cleanup_fn umount "$tmp/memory"
truncate -s 64M "$tmp/memory/image" "$tmp/other/image"
loop=$(losetup --find --show "$tmp/memory/image") || skip "loop devices do not work here"
cleanup_fn losetup --detach "$loop"
mkfs.ext4 -q "$loop"
mount "$loop" "$tmp/mount"
cleanup_fn umount "$tmp/mount"
device=$tmp/mount/disk
format --create=16M
status 0 "$kmemblk" info "$device"
says out '^  persistence  process: '

mount --bind "$tmp/other" "$tmp/memory"
cleanup_fn umount "$tmp/memory"
status 0 "$kmemblk" info "$device"
says out '^  persistence  unknown: '

# An upper folder on a disk, or on what looks like one.
mkdir "$tmp/mount/upper" "$tmp/mount/work" "$tmp/overlay"
mount -t overlay overlay -o "volatile,lowerdir=$tmp/other,upperdir=$tmp/mount/upper,workdir=$tmp/mount/work" \
	"$tmp/overlay"
cleanup_fn umount "$tmp/overlay"
device=$tmp/overlay/disk
truncate -s 16M "$device"
status 0 "$kmemblk" format "$device"
status 0 "$kmemblk" info "$device"
says out '^  persistence  process: '
