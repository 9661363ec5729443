#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# The first process of a guest.  Brings up what every guest has, runs /guest/script if there is one
# and says how it ended, else gives a prompt; then ends the guest.

export PATH=/usr/bin:/usr/sbin:/kmemblk/tools HOME=/root TERM=linux LC_ALL=C

mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
ln -s /proc/self/fd /dev/fd
ip link set lo up

modprobe -a virtio_pci virtio_console nfit nd_pmem dax_pmem device_dax nbd

# The host is told on the second serial line, apart from what the kernel prints.
if test -e /guest/script; then
	cd /kmemblk || exit
	bash /guest/script < /dev/null
	echo "exit $?" > /dev/ttyS1
else
	stty -F /dev/ttyS1 raw 2> /dev/null
	cat << END

This is a guest with an NVDIMM of its own.  The build is in /kmemblk; README.md,
"On real hardware", has the commands to try.  Type exit to end the guest.

END
	cd /kmemblk || exit
	setsid cttyhack bash -l
fi
poweroff -f
