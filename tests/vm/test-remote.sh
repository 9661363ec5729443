#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Two hosts: one serves a devdax device over TCP, the other attaches it, makes a file system and works
# there.  The network cable is pulled out under load and put back: the load goes on where it stood,
# without an error, and loses nothing.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

server_host() {
	network one
	devdax
	kmemblk format /dev/dax0.0
	serve /dev/dax0.0
	say serving
	# Until the other host is done.
	nc -l -p 4000
	stop_server
	kmemblk check /dev/dax0.0
}

client_host() {
	network two
	wait_until bash -c ": < /dev/tcp/one/10809"
	attach one
	mkfs.ext4 -q /dev/nbd0
	mount /dev/nbd0 /mnt
	truncate -s 16M /mnt/loaded
	open_acks
	./load ext4 /mnt/loaded -n 250 -a 3
	umount /mnt
	check_fs ext4 /dev/nbd0
	nbd-client -d /dev/nbd0
	# No pipe: this may end, when the other end does, before it has read.
	nc one 4000 <<< "done"
}

acknowledged() {
	wc -l < "$tmp/acks"
}

nvdimm disk 256M
: > "$tmp/acks"
guest_start one net=two nvdimm="$nvdimm" -- server_host
guest_start two net=one acks="$tmp/acks" -- client_host

wait_for_load() {
	until test "$(acknowledged)" -gt "$1"; do
		kill -0 "${guest_pids[two]}" 2> /dev/null || guest_fail two "ended before it was to"
		sleep 0.1
	done
}

wait_for_load 40
guest_link two off
before=-1
until test "$(acknowledged)" -eq "$before"; do
	before=$(acknowledged)
	sleep 2
done
test "$before" -lt 1000 || fail "the load ended while the cable was out"
guest_link two on
wait_for_load "$before"
guest_wait two
guest_wait one
echo "acknowledged: $before before the cable was put back, $(acknowledged) in all"
test "$(acknowledged)" -eq 1000 || fail "only $(acknowledged) requests were acknowledged"
