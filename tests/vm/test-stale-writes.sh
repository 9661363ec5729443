#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What nbdkit-kmemblk-plugin(1) says of time-outs and stale writes.  A proxy holds back one write on its
# way to the server for longer than the kernel waits, and lets it go when the client is done:
#
#   - as the manual attaches a disk, and through a server that is started anew after a time-out, the
#     block is what was acknowledged last, and the write was sent once;
#   - with several connections, and without the new server, the late write takes the place of a newer
#     one.  If it does not, the kernel has changed, and so should the manual.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

# start_server NAME: on /tmp/NAME.sock, with a device of that name.  Sets $server.
start_server() {
	rm -f "/tmp/$1.sock"
	start_nbdkit -U "/tmp/$1.sock" ./kmemblk.so "/dev/shm/$1.img" create=16M
}

# attach_to NAME OPTION...: the disk is /dev/NAME then, through the proxy.
attach_to() {
	nbd-client -unix "/tmp/$1.proxy" "/dev/$1" "${@:2}" > "/tmp/$1.client" 2>&1 ||
		fail "nbd-client: $(cat "/tmp/$1.client")"
}

# write_block NAME BLOCK: past the cache, so that it is sent at once, and durable when it ends.
write_block() {
	dd if="/tmp/$2" of="/dev/$1" bs=4096 count=1 oflag=direct conv=fsync,notrunc 2> "/tmp/$1.dd"
}

# block_is NAME BLOCK
block_is() {
	dd if="/dev/$1" of="/tmp/$1.block" bs=4096 count=1 iflag=direct 2> "/tmp/$1.dd"
	cmp -s "/tmp/$1.block" "/tmp/$2"
}

# begin NAME OPTION...: a server and its client, attached with these options, that has sent a write
# of block `old` which the proxy holds.  The process ids are $servers[NAME], $proxies[NAME] and
# $writers[NAME].
begin() {
	start_server "$1"
	servers[$1]=$server
	./hold "/tmp/$1.proxy" "/tmp/$1.sock" > "/tmp/$1.hold" &
	proxies[$1]=$!
	wait_until test -S "/tmp/$1.proxy"
	attach_to "$@"
	write_block "$1" old &
	writers[$1]=$!
	wait_until grep -q '^held' "/tmp/$1.hold"
}

# kernel_says NAME PATTERN: wait for it.
kernel_says() {
	wait_until sh -c "dmesg | grep -E '$1: .*($2)'"
}

# let_go NAME: what was held goes to the server.  Wait until that has done with the connection, which
# the client has ended.
let_go() {
	kill -USR1 "${proxies[$1]}"
	wait_until grep -qx 'let go' "/tmp/$1.hold"
	wait_until grep -qx "over $(sed -n 's/^held //p' "/tmp/$1.hold")" "/tmp/$1.hold"
}

# sent NAME: how often block `old` came.
sent() {
	grep -c '^write' "/tmp/$1.hold"
}

# The first write is acknowledged, having been sent again; a newer one is; then the first one comes.
several_connections() {
	kernel_says nbd0 'Connection timed out, retrying'
	wait "${writers[nbd0]}" || fail "nbd0: the write failed: $(cat /tmp/nbd0.dd)"
	write_block nbd0 new
	block_is nbd0 new || fail "nbd0: not what was acknowledged, before anything came late"
	let_go nbd0
	test "$(sent nbd0)" -ge 2 || fail "nbd0: sent $(sent nbd0) times: $(cat /tmp/nbd0.hold)"
	block_is nbd0 old ||
		fail "several connections lost nothing: does the manual still have to forbid them?"
}

# It waits; nothing is acknowledged that was not done, and nothing is sent twice.
one_connection() {
	kernel_says nbd1 'Possible stuck request|timed out'
	kill -0 "${writers[nbd1]}" || fail "nbd1: the write has ended: $(cat /tmp/nbd1.dd)"
	kill -USR1 "${proxies[nbd1]}"
	wait "${writers[nbd1]}" || fail "nbd1: the write failed: $(cat /tmp/nbd1.dd)"
	write_block nbd1 new
	nbd-client -d /dev/nbd1
	wait_until grep -q '^over' /tmp/nbd1.hold
	test "$(sent nbd1)" -eq 1 || fail "nbd1: sent $(sent nbd1) times: $(cat /tmp/nbd1.hold)"
	attach_to nbd1 -b 4096
	block_is nbd1 new || fail "nbd1: what was acknowledged last is lost"
}

# fails NAME: the write fails after the time-out.  Detach.
fails() {
	kernel_says "$1" 'Connection timed out'
	if wait "${writers[$1]}"; then
		fail "$1: a write that timed out succeeded"
	fi
	nbd-client -d "/dev/$1"
}

# The write that failed comes after a newer one, of a new connection.
time_out_same_server() {
	fails nbd2
	attach_to nbd2 -b 4096
	write_block nbd2 new
	let_go nbd2
	block_is nbd2 old ||
		fail "the late write was lost: does the manual still have to ask for a new server?"
}

time_out_new_server() {
	fails nbd3
	# nbdkit waits for its clients before it ends, and the proxy is one still.
	kill -KILL "${servers[nbd3]}"
	wait_until sh -c "! kill -0 ${servers[nbd3]}"
	start_server nbd3
	attach_to nbd3 -b 4096
	write_block nbd3 new
	let_go nbd3
	block_is nbd3 new || fail "nbd3: what was acknowledged last is lost"
}

# inside SETTINGS COPY-SETTINGS: those of the manual for a disk, and for one of several copies.
inside() {
	local -A servers proxies writers
	head -c 4096 /dev/zero | tr '\0' '\356' > /tmp/old
	head -c 4096 /dev/zero | tr '\0' '\21' > /tmp/new
	# shellcheck disable=SC2086
	{
		begin nbd0 $1 -C 4
		begin nbd1 $1
		begin nbd2 $2
		begin nbd3 $2
	}
	time_out_same_server
	time_out_new_server
	several_connections
	one_connection
}

# manual ITEM: the options of nbd-client that the manual's paragraph of this title has.
manual() {
	sed -n "/^=item $1\$/,/^=/s/^ nbd-client \(.*\) HOST .*/\1/p" \
		"$abs_top_srcdir/man/nbdkit-kmemblk-plugin.pod"
}

settings=$(manual 'One server, one client')
copy_settings=$(manual 'One of several copies')
test -n "$settings" || fail "the manual does not say how to attach a disk"
grep -q -- '-timeout' <<< "$copy_settings" || fail "the manual does not say how to attach a copy"
# Nor may anything else tell to do it.
if grep -nE 'nbd-client .*-(C|connections|p|persist)\b|^ *nbd[0-9]+ .*(conns|timeout)=|reconnect-delay=[1-9]' \
	"$abs_top_srcdir"/{README.md,docs/*.md,man/*.pod,systemd/*.in,systemd/*.service,systemd/*.socket,examples/*.sh}; then
	fail "these settings (see above) lose data"
fi
guest_run one -- inside "$settings" "$copy_settings"
cat "$tmp/one.log"
