#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A devdax device in memory that memmap= sets aside at boot: it is said to survive a warm restart, and
# does.  The machine is reset under a mounted file system; then the device is clean, and the files
# are what they were.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

contents() {
	seq 1 300000
}

# The first boot: there is no device yet.
make_it() {
	wait_until test -b /dev/pmem0
	ndctl create-namespace -f -e namespace0.0 -m devdax > /dev/null
	wait_until test -c /dev/dax0.0
	kmemblk format /dev/dax0.0
	kmemblk info /dev/dax0.0 > /tmp/info
	grep -q '^  persistence  reboot: .* a warm restart of the host, not a power failure$' /tmp/info ||
		fail "persistence: $(cat /tmp/info)"
	nbdkit -f -U - ./kmemblk.so /dev/dax0.0 --run true > /tmp/log 2>&1
	grep -q 'warning: /dev/dax0.0: .*a warm restart of the host, not a power failure$' /tmp/log ||
		fail "no warning: $(cat /tmp/log)"
	serve /dev/dax0.0
	attach localhost
	make_fs ext4 /dev/nbd0
	mount /dev/nbd0 /mnt
	contents > /mnt/kept
	sync
	# Underway when the machine is reset.
	while :; do
		contents > /mnt/more
		rm /mnt/more
	done &
	say made
	wait
}

find_it() {
	kmemblk check /dev/dax0.0
	serve /dev/dax0.0
	attach localhost
	mount /dev/nbd0 /mnt
	contents | cmp - /mnt/kept
	umount /mnt
	check_fs ext4 /dev/nbd0
}

inside() {
	modprobe nd_e820
	wait_until sh -c 'test -b /dev/pmem0 || test -c /dev/dax0.0'
	if test -c /dev/dax0.0; then
		find_it
	else
		make_it
	fi
}

guest_start one memory=4G reset=yes append='memmap=128M!4G' -- inside
guest_said one made
guest_reset one
guest_wait one
cat "$tmp/one.log"
