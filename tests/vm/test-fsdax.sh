#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device that is a file on fsdax: on ext4 and on xfs, each mounted with -o dax, it is recognised as
# memory that survives a power failure, serves a disk with a file system, and is sound after that.
# On the same file system mounted without dax it is an ordinary file.  Where the file system lays files out
# in pieces of 2 MiB, a device without holes is mapped in such.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

# expect_media DEVICE MEDIA
expect_media() {
	kmemblk info "$1" > /tmp/info
	grep -qE "^  media +$2(,|\$)" /tmp/info || fail "media is not $2: $(cat /tmp/info)"
	grep -qE '^  persistence +power-fail: ' /tmp/info || fail "persistence: $(cat /tmp/info)"
}

# try HOST-TYPE TYPE: a disk with a file system of TYPE, in a file on HOST-TYPE.
try() {
	case $1 in
	ext4) mkfs.ext4 -q -b 4096 /dev/pmem0 ;;
	xfs) mkfs.xfs -q -f /dev/pmem0 ;;
	esac
	mount -o dax=always /dev/pmem0 /dax
	expect_thread_model serialize_requests /dax/disk create=400M
	kmemblk format --create=400M /dax/disk
	expect_media /dax/disk fsdax
	expect_thread_model serialize_requests /dax/disk
	serve /dax/disk
	attach localhost
	try_fs "$2" /dax/disk
	nbd-client -d /dev/nbd0
	stop_server
	kmemblk check /dax/disk
	umount /dax
	check_fs "$1" /dev/pmem0

	mount -o dax=never /dev/pmem0 /dax
	expect_media /dax/disk file
	expect_thread_model parallel /dax/disk
	expect_thread_model parallel /dax/other create=400M
	umount /dax
}

# try_large: the kernel tells of each fault whether it mapped 2 MiB at once; smaps does not tell it of fsdax.
try_large() {
	mkfs.ext4 -q -b 4096 -E stride=512,stripe_width=512 /dev/pmem0
	mount -o dax=always /dev/pmem0 /dax
	kmemblk format --create=400M --prealloc /dax/disk
	serve /dax/disk
	attach localhost
	mount -t tracefs none /sys/kernel/tracing
	echo 1 > /sys/kernel/tracing/events/fs_dax/dax_pmd_fault_done/enable
	dd if=/dev/zero of=/dev/nbd0 bs=1M count=200 oflag=direct 2> /dev/null
	cp /sys/kernel/tracing/trace /tmp/trace
	echo 0 > /sys/kernel/tracing/events/fs_dax/dax_pmd_fault_done/enable
	test "$(grep -c NOPAGE /tmp/trace)" -ge 25 ||
		fail "200 MiB were written, and less than 50 MiB are mapped in pages of 2 MiB: $(tail -n 3 /tmp/trace)"
	nbd-client -d /dev/nbd0
	stop_server
	umount /dax
}

inside() {
	ndctl create-namespace -f -e namespace0.0 -m fsdax > /dev/null
	wait_until test -b /dev/pmem0
	mkdir /dax
	try ext4 xfs
	try xfs ext4
	try_large
}

nvdimm disk 768M
guest_run one nvdimm="$nvdimm" -- inside
