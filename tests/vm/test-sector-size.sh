#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What nbdkit-kmemblk-plugin(1) says of sectors of 512 bytes.  A disk that was partitioned with them, as
# images of virtual machines are, shows its partitions if it is attached with -b 512, and trims of
# whole blocks give their pages back; with -b 4096 its partition is not there, or not where it is.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

# make_image LABEL: /tmp/LABEL.image, a disk with one partition with a file system with a file.
make_image() {
	truncate -s 48M "/tmp/$1.image"
	echo 'start=1MiB size=40MiB' | sfdisk -q -X "$1" "/tmp/$1.image"
	mkfs.ext4 -q -b 4096 -E offset=$((1 << 20)),lazy_itable_init=0,lazy_journal_init=0 \
		"/tmp/$1.image" 40M
}

attach_with() {
	nbd-client -unix /tmp/sock /dev/nbd0 "$@" > /tmp/nbd-client.log 2>&1 ||
		fail "nbd-client: $(cat /tmp/nbd-client.log)"
	# The kernel looks for partitions when the disk is opened.
	blockdev --rereadpt /dev/nbd0
}

# try LABEL OPTIONS
try() {
	local device=/dev/shm/$1.img full trimmed
	make_image "$1"
	rm -f /tmp/sock
	start_nbdkit -U /tmp/sock ./kmemblk.so "$device" create=64M
	attach_with -b 4096
	dd if="/tmp/$1.image" of=/dev/nbd0 bs=1M conv=fsync 2> /tmp/dd.log
	blockdev --rereadpt /dev/nbd0
	# A DOS label is at byte 0 for all sectors; what it says is taken for eight times as much.
	if test -e /dev/nbd0p1 && mount /dev/nbd0p1 /mnt 2> /tmp/mount.log; then
		fail "$1: with -b 4096 the partition is there: $(grep nbd0 /proc/partitions)"
	fi
	nbd-client -d /dev/nbd0

	# shellcheck disable=SC2086
	attach_with $2
	test -b /dev/nbd0p1 || fail "$1: with $2 there is no partition: $(dmesg | tail -n 5)"
	mount /dev/nbd0p1 /mnt
	# The image's free blocks.
	fstrim /mnt
	dd if=/dev/zero of=/mnt/deleted bs=1M count=16 conv=fsync 2> /tmp/dd.log
	full=$(pages_used "$device")
	rm /mnt/deleted
	# Unmounting ends what the file system frees in the background.
	umount /mnt
	mount /dev/nbd0p1 /mnt
	fstrim /mnt
	trimmed=$(pages_used "$device")
	echo "$1: $full pages used, $trimmed after the trim"
	test $((full - trimmed)) -ge 4096 || fail "$1: of 4096 pages $((full - trimmed)) came back"
	umount /mnt
	check_fs ext4 /dev/nbd0p1
	nbd-client -d /dev/nbd0
	stop_server
	kmemblk check "$device"
	rm "$device" "/tmp/$1.image"
}

inside() {
	try gpt "$1"
	try dos "$1"
}

settings=$(sed -n '/^=head2 Sectors of 512 bytes$/,/^=head/s/^ nbd-client \(.*\) HOST .*/\1/p' \
	"$abs_top_srcdir/man/nbdkit-kmemblk-plugin.pod")
test -n "$settings" || fail "the manual does not say how to attach such a disk"
guest_run one -- inside "$settings"
cat "$tmp/one.log"
