#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# examples/mirror.sh: a mirror of two hosts' disks.  At a random moment of a verified load, either
# host's server is killed: the load goes on.  When the server is back, only what was changed is
# copied, and both disks are the same.  Last, the other host itself crashes, without a word.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

rounds=${MIRROR_ROUNDS:-2}
# A round takes half a minute, and more where the host is busy.
guest_seconds=$((2400 + rounds * 240))

# Does what it is told, one word a connection.
other_host() {
	local word
	network two
	test "$1" != new || devdax
	wait_until test -c /dev/dax0.0
	test "$1" != new || kmemblk format /dev/dax0.0
	serve /dev/dax0.0
	while word=$(nc -l -p 4000); do
		case $word in
		kill) kill -KILL "$server" ;;
		start) serve /dev/dax0.0 ;;
		end) break ;;
		esac
	done
	stop_server
	kmemblk check /dev/dax0.0
}

tell() {
	# No pipe: this may end, when the other end does, before it has read.
	until nc two 4000 <<< "$1"; do
		sleep 0.2
	done
}

served() {
	bash -c ": < /dev/tcp/$1/10809"
}

# kill_host HOST; start_host HOST
kill_host() {
	case $1 in
	localhost) kill -KILL "$server" ;;
	two) tell kill ;;
	esac
}

start_host() {
	case $1 in
	localhost) serve /dev/dax0.0 ;;
	two) tell start ;;
	esac
	wait_until served "$1"
}

# Sectors written to a disk so far.
written() {
	awk '{ print $7 }' "/sys/block/$1/stat"
}

idle() {
	test "$(cat /sys/block/md0/md/sync_action)" = idle
}

# rejoin HOST DISK: and both disks are the same then.
rejoin() {
	local before copied differ
	/guest/mirror.sh rejoin "$1"
	before=$(written "$2")
	# In this order: before the copying begins, md is idle, too.
	wait_until grep -qF '[UU]' /proc/mdstat
	wait_until idle
	copied=$((($(written "$2") - before) / 2))
	echo "$2: $copied KiB were copied"
	test "$copied" -lt 40960 || fail "$copied KiB were copied, of 16 MiB that are in use"
	echo check > /sys/block/md0/md/sync_action
	wait_until idle
	differ=$(cat /sys/block/md0/md/mismatch_cnt)
	test "$differ" -eq 0 || fail "$differ sectors differ"
	grep -q 'nbd1\[[0-9]*\](W)' /proc/mdstat || fail "not write-mostly: $(cat /proc/mdstat)"
}

# round HOST DISK: the load's requests before it were $last.
round() {
	./load raw /dev/md0 -n 40 "$last" "$last" "$last" "$last" > /tmp/load.log 2>&1 &
	sleep $((RANDOM % 3)).$((RANDOM % 1000))
	kill_host "$1"
	wait $! || fail "without $1: $(cat /tmp/load.log)"
	last=$((last + 40))
	# One that is written to shows at the latest that it is gone.
	dd if=/dev/zero of=/dev/md0 bs=4096 count=1 seek=5000 oflag=direct
	grep -qE '\[(U_|_U)\]' /proc/mdstat || fail "the mirror is whole: $(cat /proc/mdstat)"
	start_host "$1"
	rejoin "$1" "$2"
	./load raw /dev/md0 "$last" "$last" "$last" "$last"
}

# client_host ROUNDS
client_host() {
	local last=0 i
	network one
	export MDADM_NO_UDEV=1
	modprobe raid1
	devdax
	kmemblk format /dev/dax0.0
	serve /dev/dax0.0
	wait_until served two
	/guest/mirror.sh create two
	for ((i = 0; i < $1; i++)); do
		if test $((i % 2)) -eq 0; then
			round two nbd1
		else
			round localhost nbd0
		fi
	done

	./load raw /dev/md0 -n 40 "$last" "$last" "$last" "$last" > /tmp/load.log 2>&1 &
	say loading
	wait $! || fail "without the other host: $(cat /tmp/load.log)"
	last=$((last + 40))
	dd if=/dev/zero of=/dev/md0 bs=4096 count=1 seek=5000 oflag=direct
	wait_until served two
	rejoin two nbd1
	./load raw /dev/md0 "$last" "$last" "$last" "$last"

	/guest/mirror.sh stop
	/guest/mirror.sh start two
	./load raw /dev/md0 "$last" "$last" "$last" "$last"
	/guest/mirror.sh stop
	tell end
	stop_server
	kmemblk check /dev/dax0.0
}

nvdimm one 128M
one=$nvdimm
nvdimm two 128M
two=$nvdimm
guest_start two net=one nvdimm="$two" -- other_host new
guest_start one net=two nvdimm="$one" file="$abs_top_srcdir/examples/mirror.sh" -- \
	client_host "$rounds"
guest_said one loading
guest_kill two
guest_start two net=one nvdimm="$two" -- other_host old
guest_wait one
guest_wait two
grep -a 'were copied' "$tmp/one.log"
