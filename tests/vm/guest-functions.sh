# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# What the functions that tests run in a guest share.  In the guest, `fail` and `skip` of
# tests/functions.sh are there, too.

# For expect_error.
# shellcheck disable=SC2034
tmp=/tmp

# say WORDS: tell the host.
say() {
	echo "$*" > /dev/ttyS1
}

# wait_until COMMAND [ARGUMENT...]: as long as the guest lives; the host ends one that hangs.
wait_until() {
	until "$@" > /dev/null 2>&1; do
		sleep 0.2
	done
}

# open_acks: descriptor 3 leads out of the guest.
open_acks() {
	wait_until test -c /dev/vport0p1
	exec 3> /dev/vport0p1
}

# network HOST: be that host of /etc/hosts.
network() {
	modprobe virtio_net
	ip address add "$(sed -n "s/ $1\$//p" /etc/hosts)/24" dev eth0
	ip link set eth0 up
}

# devdax [NUMBER]: make /dev/daxNUMBER.0 of that NVDIMM, by default the first.
devdax() {
	ndctl create-namespace -f -e "namespace${1:-0}.0" -m devdax > /dev/null
	wait_until test -c "/dev/dax${1:-0}.0"
}

# serve DEVICE [NBDKIT-ARGUMENT...]: returns when it accepts connections; sets $server.
serve() {
	local device=$1
	shift
	start_nbdkit "$@" ./kmemblk.so "$device"
}

# start_nbdkit ARGUMENT...: sets $server.
start_nbdkit() {
	rm -f /tmp/server.pid
	nbdkit -P /tmp/server.pid "$@"
	# It is in the background before it has written its process id.
	wait_until test -s /tmp/server.pid
	server=$(cat /tmp/server.pid)
}

# expect_thread_model MODEL PARAMETER...: what a server with these would take.
expect_thread_model() {
	local model=$1
	shift
	nbdkit ./kmemblk.so --dump-plugin "$@" > /tmp/dump
	grep -qx "thread_model=$model" /tmp/dump ||
		fail "not $model: $*: $(grep thread_model /tmp/dump)"
}

stop_server() {
	kill "$server"
	while kill -0 "$server" 2> /dev/null; do
		sleep 0.1
	done
}

# pages_used DEVICE
pages_used() {
	kmemblk info --json "$1" | sed -n 's/.*"pages_used": *\([0-9]*\).*/\1/p'
}

# make_fs TYPE DISK: complete, so that the kernel writes no inode tables while pages are counted.
make_fs() {
	case $1 in
	ext4) mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$2" ;;
	xfs) mkfs.xfs -q -f "$2" ;;
	esac
}

# check_fs TYPE DISK: not mounted; nothing may be wrong, a log to replay included.
check_fs() {
	case $1 in
	ext4) e2fsck -f -n "$2" ;;
	xfs) xfs_repair -n "$2" ;;
	esac > /tmp/fsck.log 2>&1 || fail "$1 on $2 is damaged: $(cat /tmp/fsck.log)"
}

# attach HOST [NBD-CLIENT-ARGUMENT...]: the export of a server on TCP is /dev/nbd0 then.
attach() {
	local host=$1
	shift
	nbd-client "$host" /dev/nbd0 -b 4096 "$@" > /tmp/nbd-client.log 2>&1 ||
		fail "nbd-client: $(cat /tmp/nbd-client.log)"
}

# try_fs TYPE DEVICE: make it on /dev/nbd0, which the device serves; mount, load, delete, trim, check.
# Leaves a file `loaded`.
try_fs() {
	local full trimmed deleted_pages=8192
	make_fs "$1" /dev/nbd0
	mount /dev/nbd0 /mnt
	truncate -s 16M /mnt/loaded
	./load "$1" /mnt/loaded -n 50
	# 256 more than must come back: metadata may grow, or take blocks that the load had punched.
	dd if=/dev/zero of=/mnt/deleted bs=4096 count=$((deleted_pages + 256)) conv=fsync
	full=$(pages_used "$2")
	rm /mnt/deleted
	# Unmounting ends what the file system frees in the background.
	umount /mnt
	mount /dev/nbd0 /mnt
	fstrim /mnt
	trimmed=$(pages_used "$2")
	test $((full - trimmed)) -ge $deleted_pages ||
		fail "$1: $deleted_pages pages were deleted and trimmed; used: $full before, $trimmed after"
	umount /mnt
	check_fs "$1" /dev/nbd0
	echo "$1: $full pages used, $trimmed after the trim"
}

# zones_are KEY COUNT: so many zones are that, says the server that lends at /tmp/lend.
zones_are() {
	./borrow /tmp/lend > /tmp/status
	grep -qE "\"zones\":\{[^}]*\"$1\":$2[,}]" /tmp/status
}

# zones_lent COUNT
zones_lent() {
	zones_are lent "$1"
}

# start_borrower ZONES: sets $borrower; what it prints is in /tmp/borrow.log.
start_borrower() {
	rm -f /tmp/borrow.log
	./borrow /tmp/lend "$1" > /tmp/borrow.log 2>&1 &
	borrower=$!
	wait_until sh -c "grep -qs ^borrowed /tmp/borrow.log || ! kill -0 $borrower"
	grep -q ^borrowed /tmp/borrow.log || fail "the borrower: $(cat /tmp/borrow.log)"
	zones_lent "$1" || fail "not all zones are lent: $(cat /tmp/status)"
}

end_borrower() {
	kill -TERM "$borrower"
	wait "$borrower" || fail "$(cat /tmp/borrow.log)"
}

# write_full: as much of /tmp/random as the disk, which is as large, takes; sets $written.
write_full() {
	if dd if=/tmp/random of=/dev/nbd0 bs=65536 oflag=direct 2> /tmp/dd; then
		written=$(stat -c %s /tmp/random)
	else
		written=$(($(sed -n 's/^\([0-9]*\)+.* out$/\1/p' /tmp/dd) * 65536))
	fi
}

# same: what was written is there.
same() {
	blockdev --flushbufs /dev/nbd0
	cmp -n "$written" /tmp/random /dev/nbd0 || fail "blocks have changed"
}
