#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The services, as they are installed, under systemd and udev: the server of a devdax device runs as
# its own user, starts when somebody attaches its disk, and again when it is killed; fstab(5) and
# nbdtab(5) attach and mount the disk; twice is as once; at shutdown the disk is unmounted, then
# detached, before the server ends.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

main_pid() {
	systemctl show -P MainPID kmemblk@dax0.0.service
}

# Detach.  First let udev end its look at what was attached: its reads would fail, and look as if
# somebody still used the disk.
settled_stop() {
	udevadm settle
	systemctl stop kmemblk-attach@nbd0.service
}

inside() {
	local pid
	modprobe -a nfit nd_pmem dax_pmem device_dax
	devdax
	kmemblk format /dev/dax0.0
	systemd-sysusers
	systemctl restart systemd-udevd
	udevadm trigger --subsystem-match=dax --settle
	test "$(stat -c %G:%a /dev/dax0.0)" = kmemblk:660 || fail "$(ls -l /dev/dax0.0)"
	systemctl enable --now kmemblk@dax0.0.socket
	test "$(main_pid)" -eq 0 || fail "the server was started before a client came"

	echo 'nbd0 /run/kmemblk/dax0.0.sock kmem0 unix,bs=4096' > /etc/nbdtab
	systemctl start kmemblk-attach@nbd0.service
	pid=$(main_pid)
	test "$(stat -c %U "/proc/$pid")" = kmemblk || fail "the server runs as $(stat -c %U "/proc/$pid")"
	test "$(cat /sys/block/nbd0/queue/logical_block_size)" -eq 4096 || fail "nbdtab: no bs=4096"
	mkfs.ext4 -q /dev/nbd0
	echo '/dev/nbd0 /mnt ext4 _netdev,nofail,x-systemd.requires=kmemblk-attach@nbd0.service 0 0' \
		> /etc/fstab
	systemctl daemon-reload
	systemctl start mnt.mount
	cp /guest/script /mnt/
	sync
	pages_used /dev/dax0.0

	# Attached by somebody else: left alone.
	settled_stop
	if grep -q ' /mnt ' /proc/mounts; then
		fail "detached under a mount"
	fi
	nbd-client nbd0
	systemctl start mnt.mount
	cmp /guest/script /mnt/script
	settled_stop
	if nbd-client -check /dev/nbd0; then
		fail "not detached"
	fi

	kill -KILL "$(main_pid)"
	systemctl start mnt.mount
	cmp /guest/script /mnt/script
	test "$(main_pid)" -ne "$pid" || fail "the server was not killed"
	cp /guest/script /mnt/again
	udevadm settle
}

# Whether all of it came to an end in the right order.
afterwards() {
	wait_until test -c /dev/dax0.0
	kmemblk check /dev/dax0.0
	serve /dev/dax0.0
	attach localhost
	check_fs ext4 /dev/nbd0
	mount -o ro /dev/nbd0 /mnt
	test -e /mnt/again || fail "a file is lost"
}

nvdimm disk 256M
guest_run one init=systemd nvdimm="$nvdimm" -- inside
# In a wrong order of shutdown, ext4 still writes when the disk is gone; the log saves its files.
if grep -a 'I/O error' "$tmp/one.log"; then
	fail "the disk was detached, or its server ended, before it was unmounted"
fi
guest_run after nvdimm="$nvdimm" -- afterwards
cat "$tmp/one.log" "$tmp/after.log"
