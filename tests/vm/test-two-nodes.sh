#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Two nodes of one devdax device, as mknod makes a second: the claim holds through both, for
# servers, format, repair and info; readers share it through both.  Memory is lent through the
# kernel's node only, and who comes through the other one finds what is lent there.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

refused() {
	expect_error 1 "$1" nbdkit -f -U - ./kmemblk.so "$2"
	expect_error 8 "$1" kmemblk format --force "$2"
	expect_error 8 "$1" kmemblk check --repair "$2"
}

# One writes: no other does, through whichever node.
claimed() {
	serve "$1"
	refused "in use by process $server \(nbdkit\)" "$2"
	expect_error 1 "in use by process $server" nbdkit -f -U - ./kmemblk.so "$2" readonly=true
	expect_error 8 "in use by process $server" kmemblk check "$2"
	kmemblk info "$2" | grep -q "served by  *nbdkit, process $server" ||
		fail "info $2: $(kmemblk info "$2")"
	# Who cannot see it is told that there is one.
	chmod 666 "$2"
	su -s /bin/sh nobody -c "kmemblk info $2" > /tmp/info
	grep -q 'served by  *another process, which this user cannot see' /tmp/info ||
		fail "as nobody: $(cat /tmp/info)"
	stop_server
	# It ends with the server.
	kmemblk check "$2"
	kmemblk info "$2" | grep -q 'served by  *nobody' || fail "$(kmemblk info "$2")"
}

readers_share() {
	start_nbdkit ./kmemblk.so /dev/dax0.0 readonly=true
	kmemblk check /tmp/node
	expect_error 1 "in use by process $server" nbdkit -f -U - ./kmemblk.so /tmp/node
	stop_server
}

# What one server has lent, when it is gone: the kernel's node knows.
lent() {
	expect_error 1 'not the node that the kernel made of this device.* open /dev/dax0.0' \
		nbdkit -f -U - ./kmemblk.so /tmp/node lend=/tmp/lend
	# Beside the kernel's own is not it.
	mknod /dev/other c "${numbers[@]}"
	expect_error 1 'not the node that the kernel made' \
		nbdkit -f -U - ./kmemblk.so /dev/other lend=/tmp/lend
	start_nbdkit ./kmemblk.so /dev/dax0.0 lend=/tmp/lend
	start_borrower 3
	stop_server
	refused 'used as memory by programs that have borrowed' /tmp/node
	# Reading touches nothing that is lent.
	kmemblk check /tmp/node
	serve /dev/dax0.0
	stop_server
	end_borrower
	serve /tmp/node
	stop_server
}

inside() {
	devdax
	IFS=: read -ra numbers < /sys/bus/dax/devices/dax0.0/dev
	mknod /tmp/node c "${numbers[@]}"
	kmemblk format /dev/dax0.0
	claimed /dev/dax0.0 /tmp/node
	claimed /tmp/node /dev/dax0.0
	readers_share
	lent
	# The kernel's node is looked at, so it must be possible to open it.
	chown 65534 /tmp/node
	chmod 600 /dev/dax0.0
	expect_error 8 'another node of /dev/dax0.0, .* as root, type: chown 65534 /dev/dax0.0' \
		su -s /bin/sh nobody -c 'kmemblk check --repair /tmp/node'
	chown 65534 /dev/dax0.0
	su -s /bin/sh nobody -c 'kmemblk check --repair /tmp/node'
	# A container need not have it at all.
	rm /dev/dax0.0
	serve /tmp/node
	stop_server
}

nvdimm disk 512M
guest_run one nvdimm="$nvdimm" -- inside
