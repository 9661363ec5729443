#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A file on ext4 on the disk is deleted and trimmed away: the memory of the device comes back.
# Needs root.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

requires_attach
requires mkfs.ext4 -V
grep -qw ext4 /proc/filesystems || modprobe -q ext4 || skip "this kernel has no ext4"

device disk
start_nbdkit "$device" create=1G
mkdir "$tmp/mnt"
attach_disk
mkfs.ext4 -q "$loop"
mount "$loop" "$tmp/mnt"
cleanup_fn umount "$tmp/mnt"
limit=$(((1 << 30) * 2 / 100))
head -c 512M /dev/urandom > "$tmp/mnt/data"
sync -f "$tmp/mnt"
test "$(storage)" -ge $((512 << 20)) || fail "512 MiB are written and $(storage) stored"
rm "$tmp/mnt/data"
sync -f "$tmp/mnt"
# What the file system frees later than that is trimmed by the next call.
is_given_back() {
	fstrim "$tmp/mnt"
	has_at_most $limit
}
eventually is_given_back
