#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A devdax device that cannot be used as it is: used as memory by the kernel, held by another server,
# not permitted, a namespace of another mode, not there.  The message names the command to type, and
# that command helps.  Any alignment that ndctl makes is usable.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

# what_to_type: the command that the message of expect_error before names.
what_to_type() {
	sed -nE 's/.* type: ([^(]*)( \(.*)?$/\1/p' /tmp/expect.out
}

system_ram() {
	modprobe kmem
	daxctl reconfigure-device --mode=system-ram dax0.0 > /dev/null
	message='open: /dev/dax0.0: no such device; if it is in system-ram mode .* daxctl'
	expect_error 1 "$message" nbdkit -f -U - ./kmemblk.so /dev/dax0.0
	expect_error 8 "$message" kmemblk info /dev/dax0.0
	sh -c "$(what_to_type)" > /dev/null
	kmemblk format --force /dev/dax0.0
}

held() {
	serve /dev/dax0.0
	message="in use by process $server \(nbdkit\)"
	expect_error 1 "$message" nbdkit -f -U - ./kmemblk.so /dev/dax0.0
	expect_error 8 "$message" kmemblk format --force /dev/dax0.0
	stop_server
}

as_nobody() {
	su -s /bin/sh nobody -c "$*"
}

not_permitted() {
	chmod 600 /dev/dax0.0
	expect_error 8 'open: /dev/dax0.0: permission denied; .* type: chown 65534 /dev/dax0.0' \
		as_nobody kmemblk info /dev/dax0.0
	sh -c "$(what_to_type)"
	as_nobody kmemblk format --force /dev/dax0.0
}

# Neither made yet nor of another mode.
other_mode() {
	for mode in fsdax sector raw; do
		ndctl create-namespace -f -e namespace0.0 -m "$mode" > /dev/null
		wait_until sh -c 'test -b /dev/pmem0 || test -b /dev/pmem0s'
		expect_error 8 'a block device; .*ndctl create-namespace .*--mode=devdax' \
			kmemblk format /dev/pmem0*
		sh -c "$(what_to_type | sed s/NAMESPACE/namespace0.0/)" > /dev/null
		wait_until test -c /dev/dax0.0
		kmemblk format --force /dev/dax0.0
	done
	expect_error 8 'no such device; if it is in system-ram' kmemblk info /dev/dax7.0
}

alignments() {
	for alignment in 4K 1G 2M; do
		ndctl create-namespace -f -e namespace0.0 -m devdax --align $alignment > /dev/null
		wait_until test -c /dev/dax0.0
		kmemblk format --force /dev/dax0.0
		serve /dev/dax0.0
		attach localhost
		./load raw /dev/nbd0 -n 10
		nbd-client -d /dev/nbd0
		stop_server
		kmemblk check /dev/dax0.0
	done
}

inside() {
	devdax
	kmemblk format /dev/dax0.0
	held
	not_permitted
	other_mode
	alignments
	system_ram
}

# So that there is room for a namespace aligned to 1 GiB, and for no more than one such page.
nvdimm disk 2G
guest_run one nvdimm="$nvdimm" -- inside
