#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds what a guest runs on: FOLDER/kernel and FOLDER/initramfs.  The initramfs holds busybox,
# programs of this machine and of the unpacked packages with the libraries that they are linked with,
# the kernel's modules that guests use, and, in /kmemblk, the plugin, the command with what it preloads,
# and programs of the tests, laid out as in the build tree.
#
# Not compressed: the guest would spend longer on unpacking it than on reading it.
#
# usage: tests/vm/make-initramfs.sh BUILD-FOLDER PACKAGES FOLDER

set -euo pipefail

source=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
packages=$(cd "$2" && pwd)
folder=$3

# Programs other than busybox's own of the same name.
programs=(
	bash
	cmp
	daxctl
	dmsetup
	e2fsck
	mdadm
	mkfs.btrfs
	mkfs.ext4
	mkfs.xfs
	mount
	nbd-client
	nbdfuse
	nbdinfo
	nbdkit
	ndctl
	sfdisk
	umount
	xfs_repair
)

# With all that they depend on.
modules=(
	8021q
	af_packet
	brd
	btrfs
	dax_hmem
	dax_pmem
	device_dax
	dm-delay
	dm-mod
	ext4
	fuse
	kmem
	loop
	lzo-rle
	nbd
	nd_e820
	nd_pmem
	nfit
	overlay
	raid1
	scsi_debug
	sd_mod
	virtio_blk
	virtio_console
	virtio_net
	virtio_pci
	virtio_pmem
	xfs
	zram
)

mkdir -p "$folder"
root=$(mktemp -d "$folder/root.XXXXXX")
chmod 755 "$root"
trap 'rm -rf "$root"' EXIT

# ---- programs and libraries ----

mkdir -p "$root"/{dev,etc,guest,kmemblk/{preload/.libs,tools},mnt,proc,root,run,sys,tmp,var/lock,usr/{bin,sbin,lib,lib64}}
for link in bin sbin lib lib64; do
	ln -s "usr/$link" "$root/$link"
done

export LD_LIBRARY_PATH=$build/lib/.libs:$packages/usr/lib/x86_64-linux-gnu:$packages/lib/x86_64-linux-gnu

# copy_libraries FILE...: what the programs or libraries are linked with.
copy_libraries() {
	local list line library
	list=$(for file; do ldd "$file"; done | sort -u)
	if grep 'not found' <<< "$list" >&2; then
		echo "$0: libraries are missing (see above): scripts/install-deps.sh --tests" >&2
		return 1
	fi
	while IFS= read -r line; do
		library=$(sed -nE 's/.*[ \t](\/[^ ]+) \(0x.*/\1/p' <<< " $line")
		test -n "$library" || continue
		case $library in
		*/ld-linux-x86-64.so.2) cp -L "$library" "$root/usr/lib64/" ;;
		*) cp -L "$library" "$root/usr/lib/" ;;
		esac
	done <<< "$list"
}

# find_program NAME
find_program() {
	local folder
	for folder in "$packages"/{usr/bin,usr/sbin,bin,sbin} /usr/bin /usr/sbin /bin /sbin; do
		if test -x "$folder/$1"; then
			echo "$folder/$1"
			return
		fi
	done
	echo "$0: $1 not found: scripts/install-deps.sh --tests" >&2
	return 1
}

cp "$(find_program busybox)" "$root/usr/bin/busybox"
if ldd "$root/usr/bin/busybox" > /dev/null 2>&1; then
	echo "$0: busybox is not the one of busybox-static: scripts/install-deps.sh --tests" >&2
	exit 1
fi
for applet in $("$root/usr/bin/busybox" --list); do
	test "$applet" = busybox || ln -s busybox "$root/usr/bin/$applet"
done
# Where the kernel looks for it.
ln -s ../bin/busybox "$root/usr/sbin/modprobe"

files=()
for program in "${programs[@]}"; do
	file=$(find_program "$program")
	rm -f "$root/usr/bin/$program"
	cp -L "$file" "$root/usr/bin/$program"
	files+=("$file")
done

# What a client of nbdkit's TLS with a shared key is made of: nbd-client has certificates only.
nbd_plugin=$(nbdkit --dump-config | sed -n 's/^plugindir=//p')/nbdkit-nbd-plugin.so
cp -L "$nbd_plugin" "$root/kmemblk/"
cp -L "$build/kmemblk.so" "$root/kmemblk/kmemblk.so"
cp "$build/tools/kmemblk" "$root/kmemblk/tools/kmemblk"
cp "$build/tools/.libs/kmemblk-commands" "$root/kmemblk/tools/kmemblk-commands"
preload=preload/.libs/libkmemblk-preload.so
cp -L "$build/$preload" "$root/kmemblk/$preload"
tests=("$build/tests/vm"/{borrow,hold,load,pin} "$build/tests/lend/heap")
cp "${tests[@]}" "$root/kmemblk/"
copy_libraries "${files[@]}" "$nbd_plugin" "$build/kmemblk.so" "$build/tools/kmemblk" \
	"$build/tools/.libs/kmemblk-commands" "$build/$preload" "${tests[@]}"

# ---- the kernel ----

version=$(ls "$packages/lib/modules")
tree=lib/modules/$version
mkdir -p "$root/$tree"
cp "$packages/$tree"/modules.{builtin,order} "$root/$tree/"
# For all of them first, to know what depends on what.
busybox depmod -b "$packages" "$version"
for module in "${modules[@]}"; do
	sed -n "s#^\(.*/\)\?$module\.ko: *#& #p" "$packages/$tree/modules.dep" | tr -d : | tr ' ' '\n'
done | sort -u | while IFS= read -r module; do
	test -n "$module" || continue
	mkdir -p "$root/$tree/$(dirname "$module")"
	cp "$packages/$tree/$module" "$root/$tree/$module"
done
busybox depmod -b "$root" "$version"

# ---- the guest's own files ----

cp "$source/init.sh" "$root/init"
cp "$source/guest-functions.sh" "$root/guest-functions.sh"
printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$root/etc/group"
printf '127.0.0.1 localhost\n10.9.0.1 one\n10.9.0.2 two\n10.9.0.3 three\n' > "$root/etc/hosts"
ln -s /proc/mounts "$root/etc/mtab"

(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) > "$folder/initramfs.new"
cp "$packages/boot/vmlinuz-$version" "$folder/kernel"
mv "$folder/initramfs.new" "$folder/initramfs"
