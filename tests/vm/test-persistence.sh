#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What a device is said to survive is what its storage survives, whatever the kind of media: each
# kind of region, of block device and of file system that is told apart, on the kernel's own sysfs.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

# expect DEVICE MEDIA WORD: also when the environment says otherwise.
expect() {
	local got
	got=$(PMEM_IS_PMEM_FORCE=1 kmemblk info --json "$1" |
		sed -nE 's/.*"(media|persistence)": *"(.*)".*/\2/p' | xargs)
	test "$got" = "$2 $3" || fail "$1 is '$got' instead of '$2 $3': $(kmemblk info "$1")"
	kmemblk info "$1" | grep -q "^  persistence  $3: " || fail "$(kmemblk info "$1")"
	echo "$1: $2 $3"
}

# a_file FOLDER MEDIA WORD: of a new device there.
a_file() {
	grep " $1 " /proc/mounts
	# Not --create: overlays of older kernels have no files without a name.
	truncate -s 8M "$1/disk"
	kmemblk format "$1/disk" > /dev/null
	expect "$1/disk" "$2" "$3"
	rm "$1/disk"
}

# on_disk DISK WORD: of a file on a new file system on that block device.
on_disk() {
	mkfs.ext4 -q -F "$1"
	mount "$1" /mnt
	a_file /mnt file "$2"
	umount /mnt
}

# namespaces_of PROVIDER: the namespaces with memory of that bus.
namespaces_of() {
	local bus size
	for bus in /sys/bus/nd/devices/ndbus*; do
		test "$(cat "$bus/provider")" = "$1" || continue
		for size in "$bus"/region*/namespace*/size; do
			test "$(cat "$size")" = 0 || basename "$(dirname "$size")"
		done
	done
}

# nvdimm_namespace: that of the NVDIMM, once the kernel has found it, whatever its mode.
nvdimm_namespace() {
	wait_until sh -c 'ls /dev/pmem0 || ls /dev/dax0.0'
	namespaces_of ACPI.NFIT
}

# as MODE NAMESPACE: sets $made to the device that it becomes.
as() {
	local name
	name=$(ndctl create-namespace -f -e "$2" -m "$1" |
		sed -nE 's/.*"(chardev|blockdev)": *"(.*)".*/\2/p' | head -n 1)
	made=/dev/$name
	wait_until test -e "$made"
}

devdax_is() {
	as devdax "$1"
	kmemblk format --force "$made" > /dev/null
	expect "$made" devdax "$2"
}

# fsdax_is NAMESPACE WORD WORD-WITHOUT-DAX
fsdax_is() {
	as fsdax "$1"
	mkfs.ext4 -q -F -b 4096 "$made"
	mount -o dax=always "$made" /mnt
	a_file /mnt fsdax "$2"
	umount /mnt
	mount -o dax=never "$made" /mnt
	a_file /mnt file "$3"
	umount /mnt
}

# ---- regions ----

three_pmems() {
	local found=(/dev/pmem*)
	test ${#found[@]} -eq 3
}

regions() {
	local e820 nfit virtio hmem
	modprobe -a nd_e820 dax_hmem virtio_pmem
	# The kernel makes one of each, in an order of its own.
	wait_until three_pmems
	nfit=$(namespaces_of ACPI.NFIT)
	e820=$(namespaces_of e820)
	virtio=$(namespaces_of virtio-pmem)
	# First, since kernels grant MAP_SYNC here by mistake once they have reused what they knew of
	# another device.  A mapping with MAP_SYNC is flushed by the CPU alone: unknown.
	as fsdax "$virtio"
	mkfs.ext4 -q -F -b 4096 "$made"
	mount -o dax=always "$made" /mnt
	# An ordinary file, whose msync the host is told of.
	a_file /mnt file power-fail
	umount /mnt
	devdax_is "$virtio" unknown
	devdax_is "$nfit" power-fail
	fsdax_is "$nfit" power-fail power-fail
	devdax_is "$e820" reboot
	fsdax_is "$e820" reboot reboot

	wait_until sh -c 'ls -d /sys/devices/platform/hmem.*/dax[0-9]*'
	hmem=$(basename /sys/devices/platform/hmem.*/dax[0-9]*)
	kmemblk format "/dev/$hmem"
	expect "/dev/$hmem" devdax process
}

# ---- block devices, most of them on the disk of fsdax ----

disks() {
	local pmem loop
	as fsdax "$(nvdimm_namespace)"
	pmem=$made
	modprobe brd max_part=4
	modprobe -a loop lzo-rle zram overlay btrfs dm-mod raid1 sd_mod virtio_blk
	modprobe scsi_debug dev_size_mb=64
	wait_until test -b /dev/sda
	wait_until test -b /dev/vda

	on_disk /dev/ram0 process
	echo type=83 | sfdisk -q /dev/ram1
	wait_until test -b /dev/ram1p1
	on_disk /dev/ram1p1 process
	echo 64M > /sys/block/zram0/disksize
	on_disk /dev/zram0 process
	on_disk /dev/sda process
	on_disk /dev/vda power-fail
	printf 'size=%s\n' 64M 64M | sfdisk -q /dev/vda
	wait_until test -b /dev/vda2
	on_disk /dev/vda2 power-fail
	serve_and_attach
	on_disk /dev/nbd0 unknown
	nbd-client -d /dev/nbd0
	stop_server

	# On others.
	mkfs.ext4 -q -F "$pmem"
	mkdir /good
	mount "$pmem" /good
	truncate -s 256M /good/image /dev/shm/image
	losetup /dev/loop0 /good/image
	losetup /dev/loop1 /dev/shm/image
	on_disk /dev/loop0 power-fail
	on_disk /dev/loop1 process
	losetup /dev/loop2 /dev/loop1
	on_disk /dev/loop2 process
	losetup -d /dev/loop2

	for loop in 0:power-fail 1:process; do
		dmsetup create linear --table "0 262144 linear /dev/loop${loop%:*} 0"
		wait_until test -b /dev/dm-0
		on_disk /dev/dm-0 "${loop#*:}"
		dmsetup remove linear
		mkfs.btrfs -q -f "/dev/loop${loop%:*}" > /dev/null
		mount "/dev/loop${loop%:*}" /mnt
		a_file /mnt file "${loop#*:}"
		umount /mnt
	done
	mkfs.btrfs -q -f /dev/loop0 /dev/loop1 > /dev/null
	mount /dev/loop0 /mnt
	a_file /mnt file process
	umount /mnt
	mdadm --create /dev/md0 --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 \
		/dev/loop0 /dev/loop1 > /dev/null 2>&1
	on_disk /dev/md0 process
	mdadm --stop /dev/md0 2> /dev/null

	rm /good/image
	on_disk /dev/loop0 unknown
	losetup -d /dev/loop0
	losetup -d /dev/loop1
	umount /good
}

serve_and_attach() {
	kmemblk format --create=128M /dev/shm/served > /dev/null
	serve /dev/shm/served
	attach localhost
}

# ---- file systems in memory, and overlays ----

# overlay FOLDER WORD [OPTIONS]: of an overlay that writes to FOLDER/upper
overlay() {
	mkdir -p /lower "$1/upper" "$1/work"
	# A comma of the name would end it.
	local folder=${1//,/\\,}
	mount -t overlay overlay -o "lowerdir=/lower,upperdir=$folder/upper,workdir=$folder/work${3:-}" /mnt
	a_file /mnt file "$2"
	umount /mnt
}

file_systems() {
	a_file /dev/shm tmpfs process
	mount -t ramfs ramfs /mnt
	a_file /mnt file process
	umount /mnt
	echo 32 > /proc/sys/vm/nr_hugepages
	mount -t hugetlbfs -o pagesize=2M hugetlbfs /mnt
	a_file /mnt file process
	umount /mnt

	modprobe -a fuse overlay virtio_blk
	wait_until test -b /dev/vda
	# A program has the file, and names a disk as that on which it is.
	kmemblk format --create=64M /dev/shm/served > /dev/null
	serve /dev/shm/served
	mkdir /tmp/fuse
	nbdfuse -P /tmp/fuse.pid -o blkdev -o fsname=/dev/vda /tmp/fuse/disk nbd://localhost &
	wait_until test -s /tmp/fuse.pid
	kmemblk format /tmp/fuse/disk > /dev/null
	expect /tmp/fuse/disk file unknown
	umount /tmp/fuse
	stop_server

	mkfs.ext4 -q -F /dev/vda
	mkdir /good
	mount /dev/vda /good
	overlay /dev/shm process
	overlay /good power-fail
	overlay '/good/a b,c' power-fail
	overlay /good/volatile process ,volatile
	# As in a container, which has not the folders that its root is made of.
	mount -t overlay overlay -o lowerdir=/lower,upperdir=/good/upper,workdir=/good/work /mnt
	umount -l /good
	a_file /mnt file unknown
	umount /mnt
}

# The NVDIMM in a machine that tells nothing.
silent() {
	local namespace
	namespace=$(nvdimm_namespace)
	fsdax_is "$namespace" unknown unknown
	devdax_is "$namespace" unknown
	kmemblk info "$made" | grep -q 'unknown: .*ndctl list -R: persistence_domain' ||
		fail "not what to look at: $(kmemblk info "$made")"
	nbdkit -f -U - ./kmemblk.so "$made" --run true 2> /tmp/log
	grep -q "warning: $made: .*the system does not tell .*kmemblk(1)" /tmp/log ||
		fail "no warning: $(cat /tmp/log)"
}

# An NVDIMM that says that it could not save what is written.
unarmed() {
	wait_until test -c /dev/dax0.0
	cat /sys/bus/nd/devices/region0/{read_only,persistence_domain}
	expect /dev/dax0.0 devdax unknown
}

nvdimm disk 512M
disk=$nvdimm
nvdimm virtio 256M
virtio=$nvdimm
nvdimm vda 256M
# shellcheck disable=SC2054
vda=(qemu=-drive qemu="if=none,id=vda,format=raw,file=$nvdimm" qemu=-device qemu=virtio-blk-pci,drive=vda)

guest_run regions nvdimm="$disk" memory=4G \
	append='memmap=256M!4G memmap=256M%0x110000000-1+0xefffffff' \
	qemu=-object qemu="memory-backend-file,id=virtio,share=on,mem-path=$virtio,size=256M" \
	qemu=-device qemu=virtio-pmem-pci,memdev=virtio -- regions
cat "$tmp/regions.log"
guest_run disks nvdimm="$disk" "${vda[@]}" -- disks
cat "$tmp/disks.log"
guest_run folders "${vda[@]}" -- file_systems
cat "$tmp/folders.log"
guest_run silent nvdimm="$disk" persistence=none -- silent
cat "$tmp/silent.log"
guest_run unarmed nvdimm="$disk" qemu=-global qemu=nvdimm.unarmed=on -- unarmed
cat "$tmp/unarmed.log"
