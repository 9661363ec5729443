#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device that holds a kmemblk device, a file system or a partition table, and a file with any
# contents, is refused and stays as it is; --force overrides.

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

# Files that are no device at all: text, a program, an archive.
truncate -s 16M "$tmp/zeroes"
mkdir "$tmp/folder"
head -c 300000 /dev/urandom > "$tmp/folder/random"
for make in 'seq 100000' 'cat /bin/sh /bin/sh' "tar -C $tmp -cf - folder"; do
	$make > "$device"
	refuses "is a file with contents \\($(stat -c %s "$device") bytes\\)"
done

# One byte, past the last whole page.
cp --sparse=always "$tmp/zeroes" "$device"
printf x >> "$device"
refuses 'is a file with contents'

# Nothing but zeroes, written ones included, is nothing; holes take no time.
dd if=/dev/zero of="$device" bs=1M count=16 status=none
status 0 "$kmemblk" format "$device"
rm "$device"
truncate -s 1T "$device"
status 0 "$kmemblk" format --size=1G "$device"
