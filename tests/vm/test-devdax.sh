#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device on devdax, attached by the kernel's own NBD client: loaded as it is, then ext4 and xfs are
# made, mounted, loaded, trimmed and checked.  The pages of what was deleted are free again, the
# device is sound, and another server finds what was written.  It is mapped in pages of 2 MiB.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

inside() {
	devdax
	kmemblk format /dev/dax0.0
	kmemblk info /dev/dax0.0 > /tmp/info
	grep -qE '^  media +devdax' /tmp/info || fail "media is not devdax: $(cat /tmp/info)"
	grep -qE '^  persistence +power-fail: what is written survives a power failure$' /tmp/info ||
		fail "persistence: $(cat /tmp/info)"
	expect_thread_model serialize_requests /dev/dax0.0
	serve /dev/dax0.0
	attach localhost
	grep -A 4 /dev/dax0.0 "/proc/$server/smaps" > /tmp/smaps
	grep -qE '^MMUPageSize: +2048 kB' /tmp/smaps || fail "not mapped in pages of 2 MiB: $(cat /tmp/smaps)"
	./load raw /dev/nbd0 -n 200
	blkdiscard /dev/nbd0
	test "$(pages_used /dev/dax0.0)" -eq 0 ||
		fail "all blocks were trimmed, and some hold pages: $(kmemblk info /dev/dax0.0)"
	try_fs ext4 /dev/dax0.0
	try_fs xfs /dev/dax0.0
	nbd-client -d /dev/nbd0
	stop_server
	kmemblk check /dev/dax0.0

	serve /dev/dax0.0
	attach localhost
	mount /dev/nbd0 /mnt
	./load xfs /mnt/loaded 50 50 50 50
	umount /mnt
}

nvdimm disk 512M
guest_run one nvdimm="$nvdimm" -- inside
