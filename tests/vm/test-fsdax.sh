#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device that is a file on fsdax: on ext4 and on xfs, each mounted with -o dax, it is recognised as
# memory that survives a power failure, serves a disk with a file system, and is sound after that.
# On the same file system mounted without dax it is an ordinary file.

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

inside() {
	ndctl create-namespace -f -e namespace0.0 -m fsdax > /dev/null
	wait_until test -b /dev/pmem0
	mkdir /dax
	try ext4 xfs
	try xfs ext4
}

nvdimm disk 768M
guest_run one nvdimm="$nvdimm" -- inside
