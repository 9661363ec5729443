#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device that cannot be written is refused with the reason, and served with readonly=true.
# Needs root, to mount a tmpfs of its own.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires_root
requires nbdcopy --version
mkdir "$tmp/mount"
mount -t tmpfs -o size=48M kmemblk-test "$tmp/mount" || skip "mount does not work here"
cleanup_fn umount "$tmp/mount"
device=$tmp/mount/disk
head -c 4M /dev/urandom > "$tmp/in"
start_nbdkit "$device" create=16M
nbdcopy "$tmp/in" "$uri"
stop_nbdkit
mount -o remount,ro "$tmp/mount"

expect_error 1 "$device: .*Read-only file system" try_nbdkit "$device"
expect_error 8 "$device: .*Read-only file system" "$kmemblk" format --force "$device"
expect_error 8 "$device: .*Read-only file system" "$kmemblk" check --repair "$device"
check_device
start_nbdkit "$device" readonly=true
cleanup_fn stop_nbdkit
nbdcopy "$uri" "$tmp/out"
cmp -n 4194304 "$tmp/in" "$tmp/out" || fail "it reads as something else"
if nbdcopy "$tmp/in" "$uri" 2> "$tmp/log"; then
	fail "a client could write"
fi
