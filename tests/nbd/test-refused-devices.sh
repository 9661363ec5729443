#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What is no disk is refused before any client comes: type none, something else's file, a folder.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

device none
"$kmemblk" format --type=none --create=16M "$device" > "$tmp/format.log"
expect_error 1 "$device: a device of type none .* kmemblk format --force --type=blk $device" \
	try_nbdkit "$device"
# What the message says to type works.
"$kmemblk" format --force --type=blk "$device" > "$tmp/format.log"
start_nbdkit "$device"
stop_nbdkit

device other
head -c 16M /dev/urandom > "$device"
before=$(sha256sum < "$device")
expect_error 1 "$device: " try_nbdkit "$device"
expect_error 1 "$device: " try_nbdkit "$device" create=16M
test "$(sha256sum < "$device")" = "$before" || fail "a refused server changed the file"

expect_error 1 "$tmp: " try_nbdkit "$tmp"

# To make the file is proposed where it can be made.
expect_error 1 "$tmp/disk: no such file.*; or add create=1G" try_nbdkit "$tmp/disk"
expect_error 1 "$tmp/none/disk: no such file, and its folder does not exist$" try_nbdkit "$tmp/none/disk"
ln -s "$tmp/disk" "$tmp/leads-nowhere"
expect_error 1 "$tmp/leads-nowhere: a symbolic link that leads to nothing$" try_nbdkit "$tmp/leads-nowhere"
