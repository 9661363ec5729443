#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# On a machine with two NUMA nodes, the server of a device on node 1 runs there with all its threads,
# and has its tables there; with numa=off it may run anywhere.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

# processors: where the server's threads may run, one line a kind.
processors() {
	cat /proc/"$server"/task/*/status | sed -n 's/^Cpus_allowed_list:\t//p' | sort -u
}

# private_pages NODE: pages of private memory that the server has on the node.  Not those of programs
# and libraries, with the zeroed data that follows each: they are there before the plugin is.
private_pages() {
	awk -v node="N$1" '/ file=/ { loaded = 1; next }
		loaded && !/ heap / { loaded = 0; next }
		{ loaded = 0 }
		/ anon=/ { for (i = 3; i <= NF; i++) { split($i, part, "=")
			if (part[1] == node) sum += part[2] } }
		END { print sum + 0 }' "/proc/$server/numa_maps"
}

inside() {
	local here there
	devdax
	test "$(cat /sys/bus/dax/devices/dax0.0/numa_node)" -eq 1 ||
		skip "this kernel or QEMU does not put an NVDIMM on a node"
	kmemblk format /dev/dax0.0
	kmemblk info /dev/dax0.0 | grep -qE '^  media .*NUMA node 1$' ||
		fail "the device is not on node 1: $(kmemblk info /dev/dax0.0)"

	serve /dev/dax0.0
	attach localhost
	./load raw /dev/nbd0 -n 20
	test "$(processors)" = 1 || fail "threads may run on: $(processors)"
	here=$(private_pages 1)
	there=$(private_pages 0)
	echo "pages on node 1: $here, on node 0: $there"
	test "$here" -gt $((4 * there)) ||
		fail "$there pages are on node 0, $here on node 1: $(cat "/proc/$server/numa_maps")"
	nbd-client -d /dev/nbd0
	stop_server

	start_nbdkit ./kmemblk.so /dev/dax0.0 numa=off
	test "$(processors)" = 0-1 || fail "with numa=off threads may run on: $(processors)"
}

nvdimm disk 256M
guest_run one nodes=2 nvdimm="$nvdimm,1" -- inside
cat "$tmp/one.log"
