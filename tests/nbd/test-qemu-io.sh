#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# QEMU's client: patterns written, zeroed and discarded read back as they must.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires qemu-io --version
device disk
start_nbdkit "$device" create=64M

qemu_io() {
	local args=()
	for command; do
		args+=(-c "$command")
	done
	qemu-io -f raw "${args[@]}" "$uri" > "$tmp/qemu-io.log" 2>&1 || fail "$(cat "$tmp/qemu-io.log")"
	if grep -qiE 'fail|error|invalid' "$tmp/qemu-io.log"; then
		fail "$(cat "$tmp/qemu-io.log")"
	fi
}

qemu_io 'write -P 0x11 0 8M' 'write -P 0x22 1M 64k' 'aio_write -P 0x33 3M 1M' aio_flush
qemu_io 'read -P 0x11 0 1M' 'read -P 0x22 1M 64k' 'read -P 0x33 3M 1M' 'read -P 0x11 4M 4M'
qemu_io 'write -z 512 1024' 'write -z -u 2M 1M' 'discard 4M 1M' 'write -f -P 0x44 5M 4k'
qemu_io 'read -P 0x11 0 512' 'read -P 0 512 1024' 'read -P 0x11 1536 2560' 'read -P 0 2M 1M' \
	'read -P 0 4M 1M' 'read -P 0x44 5M 4k' 'read -P 0x11 5124k 4k' 'read -P 0 8M 32M'
