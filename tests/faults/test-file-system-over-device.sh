#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A file system made over a device, or over its first half: the device is not opened, check says
# what lives there now, repair and format without --force leave the file system as it is.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

PATH=$PATH:/sbin:/usr/sbin
requires mkfs.ext4 -V
requires mkfs.xfs -V
device disk

# refuse NAME: nothing takes the file system for a device, and nothing changes it.
refuse() {
	local before option
	before=$(sha256sum < "$device")
	for option in readonly=false readonly=true create=1G; do
		expect_error 1 "$device: " try_nbdkit "$device" "$option"
	done
	expect_error 4 "left: .*$1" "$kmemblk" check "$device"
	expect_error 4 "left: .*$1" "$kmemblk" check --repair "$device"
	expect_error 8 "$device: holds $1; to lose" "$kmemblk" format "$device"
	test "$(sha256sum < "$device")" = "$before" || fail "the file system was changed: $1"
}

# over MKFS... : a device with something on it, and then that.
over() {
	rm -f "$device"
	start_nbdkit "$device" create=512M
	nbdcopy "$tmp/data" "$uri"
	stop_nbdkit
	"$@" > "$tmp/mkfs.log" 2>&1 || fail "$*: $(cat "$tmp/mkfs.log")"
}

requires nbdcopy --version
head -c 8M /dev/urandom > "$tmp/data"
for size in '' 256M; do
	over mkfs.ext4 -F "$device" $size
	refuse ext4
	e2fsck -fn "$device" > "$tmp/fsck.log" 2>&1 || fail "$(cat "$tmp/fsck.log")"
done
for size in '' size=320M; do
	over mkfs.xfs -f ${size:+-d $size} "$device"
	refuse xfs
	xfs_repair -n -f "$device" > "$tmp/fsck.log" 2>&1 || fail "$(cat "$tmp/fsck.log")"
done

# It can be taken for a device again, by who says so.
"$kmemblk" format --force "$device" > "$tmp/format.log"
start_nbdkit "$device"
stop_nbdkit
check_device
