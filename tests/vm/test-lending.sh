#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Zones of a devdax device are lent: a borrower maps them in pages of 2 MiB, and its mappings alone
# keep them, with descriptors and connection closed.  The server is killed and started again: the zones
# are still lent, the disk is written until it is full, and neither finds the other's bytes in its own.
# When the borrower ends without returning them, its zones are the disk's only 30 s later.  A heap is not
# lent.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

lend() {
	start_nbdkit ./kmemblk.so /dev/dax0.0 lend=/tmp/lend
}

has_mappings_only() {
	local fd
	grep -A 4 /dev/dax0.0 "/proc/$borrower/smaps" | grep -qE '^MMUPageSize: +2048 kB' ||
		fail "not mapped in pages of 2 MiB: $(cat "/proc/$borrower/smaps")"
	for fd in "/proc/$borrower/fd/"*; do
		case $(readlink "$fd") in
		*dax* | socket*) fail "the borrower has more than mappings: $fd" ;;
		esac
	done
}

kill_server() {
	kill -KILL "$server"
	wait_until sh -c "! kill -0 $server"
	nbd-client -d /dev/nbd0
	expect_error 8 'pages of it are used as memory' kmemblk format --force /dev/dax0.0
	lend
	zones_lent "$zones" || fail "after a restart, not all zones are lent: $(cat /tmp/status)"
	attach localhost
}

# Nobody has the zones, and nobody has returned them.
held_back() {
	local since=$SECONDS
	wait_until zones_lent 0
	test $((SECONDS - since)) -ge 29 ||
		fail "zones are the disk's $((SECONDS - since)) s after their borrower ended"
}

inside() {
	local before zones=10
	devdax
	kmemblk format /dev/dax0.0
	expect_error 1 'devdax device has no holes' nbdkit -f -U - ./kmemblk.so /dev/dax0.0 punch=true
	lend
	attach localhost
	head -c "$(blockdev --getsize64 /dev/nbd0)" /dev/urandom > /tmp/random
	start_borrower "$zones"
	has_mappings_only
	./load raw /dev/nbd0 -n 25
	kill_server
	./load raw /dev/nbd0 25 25 25 25

	write_full
	before=$written
	same
	test "$before" -lt $(($(stat -c %s /tmp/random) - (zones - 1) * 2097152)) ||
		fail "the disk takes $before bytes, although $zones zones are lent"
	# Whatever was on its way to the media.
	kill_server
	same
	zones_lent "$zones" || fail "with a full disk, not all zones are lent: $(cat /tmp/status)"

	end_borrower
	held_back
	write_full
	same
	test "$written" -eq "$(stat -c %s /tmp/random)" ||
		fail "the disk takes $written bytes after all zones were returned"
	nbd-client -d /dev/nbd0
	expect_error 8 'serve a file on a DAX file system' kmemblk run --lend=/tmp/lend -- true
	stop_server
	kmemblk check /dev/dax0.0
	tail -n 1 /tmp/borrow.log
	echo "the disk took $before bytes while $zones zones were lent"
}

nvdimm disk 64M
guest_run one nvdimm="$nvdimm" -- inside
cat "$tmp/one.log"
