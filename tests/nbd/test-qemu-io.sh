#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# QEMU's client: patterns written, zeroed and discarded read back as they must.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

device disk
start_nbdkit "$device" create=64M

must 'write -P 0x11 0 8M' 'write -P 0x22 1M 64k' 'aio_write -P 0x33 3M 1M' aio_flush
must 'read -P 0x11 0 1M' 'read -P 0x22 1M 64k' 'read -P 0x33 3M 1M' 'read -P 0x11 4M 4M'
must 'write -z 512 1024' 'write -z -u 2M 1M' 'discard 4M 1M' 'write -f -P 0x44 5M 4k'
must 'read -P 0x11 0 512' 'read -P 0 512 1024' 'read -P 0x11 1536 2560' 'read -P 0 2M 1M' \
	'read -P 0 4M 1M' 'read -P 0x44 5M 4k' 'read -P 0x11 5124k 4k' 'read -P 0 8M 32M'
