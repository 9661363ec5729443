#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# examples/qemu-mirror.sh: a disk of QEMU on three servers.  One is killed while it is written to, and
# no request fails; when it is back with what it had before, nothing of that is read, and reading
# brings it up to date.  Zeros that are written free pages.  Without two servers, writes fail.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

requires qemu-storage-daemon --version

must() {
	qemu_io_works "$@" || fail "$*: $(cat "$tmp/qemu-io.log" "$tmp/qemu.log")"
}

# A server that is only asked to end waits for its clients.
kill_server() {
	end_process "${pids[$1]}" KILL
}

devices=() pids=() sockets=()
for i in 0 1 2; do
	device "disk$i"
	start_nbdkit "$device" create=64M
	devices+=("$device") pids+=("$server") sockets+=("$socket")
done

# It stands for a guest: it stays while servers come and go.
uri="nbd+unix:///mirror?socket=$tmp/qemu"
qemu-storage-daemon \
	--blockdev "node-name=mirror,$("$abs_top_srcdir/examples/qemu-mirror.sh" "${sockets[@]}")" \
	--nbd-server addr.type=unix,addr.path="$tmp/qemu" --pidfile "$tmp/qemu.pid" \
	--export type=nbd,id=mirror,node-name=mirror,writable=on > "$tmp/qemu.log" 2>&1 &
qemu=$!
cleanup_fn end_process "$qemu"
await_file "$qemu" "$tmp/qemu.pid" "$tmp/qemu.log" "qemu-storage-daemon did not start"

must 'write -P 0x11 0 16M'
for device in "${devices[@]}"; do
	test "$(field pages_used "$device")" -eq 4096 || fail "$device: $(field pages_used "$device") pages used"
done

# Under load, wherever that then is; and once more, without the server for certain.
load=()
for ((i = 0; i < 64; i++)); do
	load+=("write -P 0x22 $((i * 64))k 64k")
done
must "${load[@]}" &
load_pid=$!
kill_server 0
wait $load_pid || fail "a server's end was seen in the load"
must 'write -P 0x33 2M 6M' 'read -P 0x22 0 2M' 'read -P 0x33 2M 6M' 'read -P 0x11 8M 8M'

# On its old socket.
rm -f "${sockets[0]}"
nbdkit -f -U "${sockets[0]}" -P "$tmp/again.pid" "$plugin" "${devices[0]}" > "$tmp/again.log" 2>&1 &
pids[0]=$!
cleanup_fn kill_server 0
await_file "${pids[0]}" "$tmp/again.pid" "$tmp/again.log" "nbdkit did not start again"
mirror=$uri
uri="nbd+unix:///?socket=${sockets[0]}"
must 'read -P 0x11 4M 4M'
# QEMU connects again at some time.
until qemu_io_works 'read -P 0x22 0 2M' 'read -P 0x33 2M 6M' 'read -P 0x11 8M 8M'; do
	uri=$mirror
	must 'read -P 0x22 0 2M' 'read -P 0x33 2M 6M' 'read -P 0x11 8M 8M'
	sleep 0.2
	uri="nbd+unix:///?socket=${sockets[0]}"
done
uri=$mirror

must 'write -P 0 0 8M' 'read -P 0 0 8M'
for i in 0 1 2; do
	test "$(field pages_used "${devices[i]}")" -eq 2048 ||
		fail "${devices[i]}: $(field pages_used "${devices[i]}") pages used"
	qemu-img compare -f raw -F raw "nbd+unix:///?socket=${sockets[0]}" \
		"nbd+unix:///?socket=${sockets[i]}" > "$tmp/compare" 2>&1 ||
		fail "disks 0 and $i: $(cat "$tmp/compare")"
done

# What only one has would be outvoted later.
kill_server 0
kill_server 1
! qemu_io_works 'write -P 0x44 8M 64k' || fail "a write that one server has was acknowledged"
