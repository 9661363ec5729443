#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A file on fsdax, on ext4 and on xfs, is lent: what a borrower has is files of their own, and nothing of
# the device.  The server is killed and started again: the zones are still lent, the disk is written until
# it is full, and neither finds the other's bytes in its own.  When the borrower ends, however it does,
# its zones are the disk's, no file is left, and nothing of what it wrote is on the media.
#
# Where the kernel still uses a page of what a borrower has unmapped, or left behind, the loan stays, the
# disk does not change, and the server ends all the same; when the kernel is done, so is the loan.
#
# Then programs have their heap there, by `kmemblk run`.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

lend() {
	start_nbdkit ./kmemblk.so /dax/disk lend=/tmp/lend
	attach localhost
}

unlend() {
	nbd-client -d /dev/nbd0
	stop_server
}

some_are_stuck() {
	./borrow /tmp/lend > /tmp/status
	grep -qE '"stuck":[1-9]' /tmp/status
}

# none_lent: neither a zone nor a file.
none_lent() {
	wait_until zones_lent 0
	test -z "$(ls -A "$loans")" || fail "files are left: $(ls -A "$loans")"
}

# Not even by a descriptor.
has_loans_only() {
	local fd
	grep -F /dax/ "/proc/$borrower/maps" > /tmp/maps
	test "$(grep -cF " $loans/" /tmp/maps)" -eq "$zones" || fail "not one file a zone: $(cat /tmp/maps)"
	test "$(wc -l < /tmp/maps)" -eq "$zones" || fail "other files are mapped: $(cat /tmp/maps)"
	for fd in "/proc/$borrower/fd/"*; do
		case $(readlink "$fd") in
		/dax/* | *pmem* | socket*) fail "the borrower has more than mappings: $fd" ;;
		esac
	done
}

kill_server() {
	kill -KILL "$server"
	wait_until sh -c "! kill -0 $server"
	nbd-client -d /dev/nbd0
	lend
	zones_lent "$zones" || fail "after a restart, not all zones are lent: $(cat /tmp/status)"
	zones_are unowned "$zones" || fail "after a restart, zones have an owner: $(cat /tmp/status)"
}

shares_the_device() {
	local zones=10 before
	start_borrower "$zones"
	has_loans_only
	./load raw /dev/nbd0 -n 25
	kill_server
	./load raw /dev/nbd0 25 25 25 25

	write_full
	before=$written
	same
	test "$before" -lt $(($(stat -c %s /tmp/random) - (zones - 1) * 2097152)) ||
		fail "the disk takes $before bytes, although $zones zones are lent"
	kill_server
	same
	zones_lent "$zones" || fail "with a full disk, not all zones are lent: $(cat /tmp/status)"

	end_borrower
	tail -n 1 /tmp/borrow.log
	none_lent
	write_full
	same
	test "$written" -eq "$(stat -c %s /tmp/random)" ||
		fail "the disk takes $written bytes after all zones were returned"
	echo "the disk took $before bytes while $zones zones were lent"
}

# start_pin ARGUMENT...: sets $pin; it has three zones.
start_pin() {
	rm -f pinned unmapped
	./pin "$@" &
	pin=$!
	wait_until sh -c "test -e pinned || ! kill -0 $pin"
	zones_lent 3 || fail "pin $*: $(cat /tmp/status)"
}

kill_pin() {
	kill -KILL "$pin"
	wait "$pin" || true
}

unmap_pin() {
	kill -TERM "$pin"
	wait_until test -e unmapped
}

on_media() {
	./pin count /dev/pmem0
}

leaves_nothing_on_media() {
	local pages
	blkdiscard /dev/nbd0
	start_pin none /tmp/lend
	pages=$(on_media)
	test "$pages" -eq 1536 || fail "three zones have 1536 pages, on the media are $pages"
	kill_pin
	none_lent
	pages=$(on_media)
	test "$pages" -eq 0 || fail "a killed borrower left $pages pages on the media"
}

# What the disk writes meanwhile takes all pages that it can have; and the server ends.
disk_is_apart() {
	write_full
	same
	wait_until some_are_stuck
	unlend
	test -n "$(ls -A "$loans")" || fail "the file of a loan was removed while it was in use"
	# Not with the pipe.
	lend 7>&-
	wait_until some_are_stuck
	same
}

# after_pin: the kernel is done.
after_pin() {
	none_lent
	same
	write_full
	test "$written" -eq "$(stat -c %s /tmp/random)" || fail "the disk takes only $written bytes"
	same
}

# in_pipe HOW: a page is in a pipe when the borrower unmaps it, or is killed.  Then the pipe is read, or
# is closed.
in_pipe() {
	blkdiscard /dev/nbd0
	rm -f /tmp/pipe
	mkfifo /tmp/pipe
	exec 7<> /tmp/pipe
	start_pin pipe /tmp/lend > /tmp/pipe
	"$1"_pin
	disk_is_apart
	if test "$1" = kill; then
		# What the borrower left, or zeroes.
		dd of=/tmp/page bs=4096 count=1 <&7 2> /dev/null
		test "$(stat -c %s /tmp/page)" -eq 4096 || fail "$(ls -l /tmp/page)"
		test "$(tr -d '\0\267' < /tmp/page | wc -c)" -eq 0 || fail "other bytes are in the pipe"
		none_lent
		exec 7>&-
	else
		exec 7>&-
		# The borrower has the pipe as its standard output.
		kill_pin
	fi
	after_pin
}

# Direct I/O from a slow disk is under way when the borrower unmaps what it goes to.
in_flight() {
	blkdiscard /dev/nbd0
	dmsetup create slow --table '0 4096 delay /dev/ram0 0 3600000'
	start_pin read /tmp/lend /dev/dm-0
	wait_until sh -c "dmsetup status slow | grep 'delay [1-9]'"
	unmap_pin
	disk_is_apart
	# Whatever waits goes on at once.
	dmsetup suspend slow
	dmsetup resume slow
	after_pin
	kill_pin
	dmsetup remove slow
}

has_heaps() {
	kmemblk format --create=256M /dax/heap
	start_nbdkit ./kmemblk.so /dax/heap lend=/tmp/lend
	kmemblk run --lend=/tmp/lend --strict --verbose -- ./heap fork
	sleep 5 | kmemblk run --lend=/tmp/lend --strict --verbose -- ./heap store
	wait_until zones_lent 0
	stop_server
	test ! -e /dax/heap.loans || fail "a folder is left: $(ls -A /dax/heap.loans)"
	kmemblk check /dax/heap
}

# huge_pages: how the kernel has mapped loans since the last call; it depends on where the file system has
# put them.
huge_pages() {
	sed -nE 's/.*dax_pmd_fault_done:.* (NOPAGE|FALLBACK).*/\1/p' /sys/kernel/tracing/trace |
		sort | uniq -c
	echo > /sys/kernel/tracing/trace
}

# try TYPE
try() {
	case $1 in
	ext4) mkfs.ext4 -q -b 4096 /dev/pmem0 ;;
	xfs) mkfs.xfs -q -f /dev/pmem0 ;;
	esac
	mount -o dax=always /dev/pmem0 /dax
	kmemblk format --create=64M /dax/disk
	lend
	test -e /tmp/random || head -c "$(blockdev --getsize64 /dev/nbd0)" /dev/urandom > /tmp/random
	shares_the_device
	huge_pages
	leaves_nothing_on_media
	in_pipe kill
	in_pipe unmap
	in_flight
	unlend
	test ! -e "$loans" || fail "a folder is left: $(ls -A "$loans")"
	kmemblk check /dax/disk
	has_heaps
	umount /dax
	check_fs "$1" /dev/pmem0
}

inside() {
	local loans=/dax/disk.loans
	modprobe -a dm-delay
	modprobe brd rd_nr=1 rd_size=2048
	head -c 2097152 /dev/urandom > /dev/ram0
	mount -t tracefs tracefs /sys/kernel/tracing
	echo 1 > /sys/kernel/tracing/events/fs_dax/dax_pmd_fault_done/enable
	ndctl create-namespace -f -e namespace0.0 -m fsdax > /dev/null
	wait_until test -b /dev/pmem0
	mkdir /dax
	try ext4
	try xfs
}

nvdimm disk 768M
guest_run one memory=2G nvdimm="$nvdimm" -- inside
cat "$tmp/one.log"
