#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device that holds a kmemblk device, a file system or a partition table is refused and stays
# as it is; --force overrides.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

PATH=$PATH:/sbin:/usr/sbin
requires mkfs.ext4 -V
device d

# refuses WHAT: the device is not formatted, and not changed; with --force it is.
refuses() {
	cp --sparse=always "$device" "$tmp/before"
	status 8 "$kmemblk" format "$device"
	silent out
	says err "^kmemblk: .*$device.*$1"
	says err '--force'
	cmp "$device" "$tmp/before" || fail "the device was changed"
	status 0 "$kmemblk" format --force "$device"
	status 0 "$kmemblk" check "$device"
	rm "$device"
}

format --create=16M
refuses kmemblk

truncate -s 16M "$device"
mkfs.ext4 -q "$device"
refuses ext4

# A partition table: one Linux partition from sector 2048 on.
truncate -s 16M "$device"
poke 446 00000000830000000008000000700000
poke 510 55aa
refuses '(dos|partition table)'
