#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# fio writes at random through several connections at once and verifies what it wrote, with blocks
# smaller than, as large as and larger than the disk's; also where the server does many requests of one
# connection at once.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

# shellcheck disable=SC2016 # the inner shell's
requires sh -c 'fio --enghelp | grep -qw nbd'
device disk

# verify SIZE: blocks of that size, at the server that was started last.
verify() {
	local size=$1
	fio --name=verify --ioengine=nbd --uri="$uri" --rw=randwrite --bs="$size" --iodepth=16 \
		--numjobs=4 --size=8M --offset_increment=16M --randrepeat=0 \
		--verify=crc32c --verify_fatal=1 --do_verify=1 \
		> "$tmp/fio.log" 2>&1 || fail "blocks of $size: $(cat "$tmp/fio.log")"
}

for model in requests parallel; do
	start_nbdkit "$device" create=128M thread-model=$model
	for size in 512 4k 64k; do
		verify $size
	done
	stop_nbdkit
	check_device
done
