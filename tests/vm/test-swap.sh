#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The exported disk is swap space of the host that serves it: with nbdkit's --swap and nbd-client's
# -swap, a host without free memory swaps out to it, in blocks that need new pages, and what it swaps
# in again is what it was.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

# In MiB.
available() {
	awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo
}

inside() {
	local written swapped
	devdax
	kmemblk format /dev/dax0.0
	serve /dev/dax0.0 --swap
	attach localhost -swap
	mkswap /dev/nbd0
	swapon /dev/nbd0
	# What is in a ramfs stays in memory, so it makes the guest a small one.
	mkdir /ballast
	mount -t ramfs ramfs /ballast
	head -c $(($(available) - 160))m /dev/zero > /ballast/file
	mount -o remount,size=320M /dev/shm
	written=$(head -c 256m /dev/urandom | tee /dev/shm/file | sha256sum)
	swapped=$(awk 'NR == 2 { print $4 }' /proc/swaps)
	echo "swapped out: $swapped KiB; available: $(available) MiB"
	test "$swapped" -ge 65536 || fail "only $swapped KiB are swapped out"
	test "$(sha256sum < /dev/shm/file)" = "$written" || fail "what was swapped in is not what it was"
	rm /dev/shm/file /ballast/file
	swapoff /dev/nbd0
	nbd-client -d /dev/nbd0
	stop_server
	kmemblk check /dev/dax0.0
}

nvdimm disk 512M
guest_run one nvdimm="$nvdimm" -- inside
cat "$tmp/one.log"
