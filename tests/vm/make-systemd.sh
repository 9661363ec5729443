#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Builds FOLDER/systemd, which makes of a guest one whose first process is systemd, with udev and
# with what `make install` installs.  The guest unpacks it over the initramfs; the test's function
# is a service of it, and the guest is shut down when that ends.
#
# usage: tests/vm/make-systemd.sh BUILD-FOLDER PACKAGES FOLDER

set -euo pipefail

build=$(cd "$1" && pwd)
packages=$(cd "$2" && pwd)
folder=$(cd "$3" && pwd)

units=(
	basic.target
	dev-hugepages.mount
	final.target
	local-fs-pre.target
	local-fs.target
	modprobe@.service
	multi-user.target
	network-online.target
	network.target
	paths.target
	poweroff.target
	remote-fs-pre.target
	remote-fs.target
	shutdown.target
	slices.target
	sockets.target
	swap.target
	sysinit.target
	systemd-poweroff.service
	systemd-udevd-control.socket
	systemd-udevd-kernel.socket
	systemd-udevd.service
	timers.target
	umount.target
)

root=$(mktemp -d "$folder/systemd-root.XXXXXX")
chmod 755 "$root"
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{etc,guest,usr/{bin,lib/{systemd/{system,system-generators},udev}}}

export LD_LIBRARY_PATH=$packages/lib/systemd:$packages/usr/lib/systemd:$packages/lib/x86_64-linux-gnu:$packages/usr/lib/x86_64-linux-gnu

# install_program FILE FOLDER: with the libraries that it is linked with.
install_program() {
	local library
	cp -L "$1" "$root/$2/"
	ldd "$1" | sed -nE 's/.* => (\/[^ ]+) \(0x.*/\1/p' | while IFS= read -r library; do
		test -e "$root/usr/lib/${library##*/}" || cp -L "$library" "$root/usr/lib/"
	done
}

find_file() {
	local place
	for place in "$packages"/{lib,usr/lib,bin,usr/bin} /lib /usr/lib /bin /usr/bin; do
		if test -e "$place/$1"; then
			echo "$place/$1"
			return
		fi
	done
	echo "$0: $1 not found: make -C tests/vm clean, then again" >&2
	return 1
}

for program in systemd systemd-shutdown; do
	install_program "$(find_file "systemd/$program")" usr/lib/systemd
done
install_program "$(find_file systemd/system-generators/systemd-fstab-generator)" \
	usr/lib/systemd/system-generators
for program in systemctl systemd-sysusers udevadm; do
	install_program "$(find_file "$program")" usr/bin
done
ln -s /usr/bin/udevadm "$root/usr/lib/systemd/systemd-udevd"
for unit in "${units[@]}"; do
	cp "$(find_file "systemd/system/$unit")" "$root/usr/lib/systemd/system/"
done
cp -r "$(find_file udev/rules.d)" "$root/usr/lib/udev/"
cp "$(find_file udev/rules.d/99-systemd.rules)" "$root/usr/lib/udev/rules.d/"

for part in plugin systemd; do
	make -C "$build/$part" prefix=/usr systemdsystemunitdir=/usr/lib/systemd/system DESTDIR="$root" \
		install > "$folder/install.log" 2>&1 || {
		cat "$folder/install.log" >&2
		exit 1
	}
done

# In place of the initramfs' own.
cat > "$root/init" << 'INIT'
#!/bin/sh
# A mount namespace cannot have an initramfs as its root, and services are in such.
export PATH=/usr/bin:/usr/sbin
mount -t proc proc /proc
mkdir /root-fs
mount -t tmpfs -o size=75% tmpfs /root-fs
for file in /*; do
	case $file in
	/dev | /init | /proc | /root-fs | /sys) ;;
	*) cp -a "$file" /root-fs/ ;;
	esac
done
mkdir -p /root-fs/dev /root-fs/proc /root-fs/sys
mount -t devtmpfs devtmpfs /root-fs/dev
umount /proc
exec switch_root /root-fs /usr/lib/systemd/systemd < /root-fs/dev/console > /root-fs/dev/console 2>&1
INIT
chmod 755 "$root/init"
cat > "$root/usr/lib/systemd/system/guest.service" << 'UNIT'
[Unit]
Description=the test
After=basic.target remote-fs.target

[Service]
Type=oneshot
Environment=PATH=/usr/bin:/usr/sbin:/kmemblk/tools HOME=/root TERM=linux LC_ALL=C
WorkingDirectory=/kmemblk
ExecStart=/bin/sh -c 'bash /guest/script; echo exit $? > /dev/ttyS1'
ExecStopPost=systemctl --no-block start poweroff.target
StandardInput=null
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
UNIT
# want TARGET UNIT...
want() {
	local unit target=$1
	shift
	mkdir -p "$root/etc/systemd/system/$target.wants"
	for unit; do
		ln -s "/usr/lib/systemd/system/$unit" "$root/etc/systemd/system/$target.wants/"
	done
}
want sysinit.target systemd-udevd.service
want sockets.target systemd-udevd-control.socket systemd-udevd-kernel.socket
want multi-user.target guest.service
ln -s /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
# Its limits are for machines; on a busy host a guest may take longer for anything.
mkdir -p "$root/etc/udev"
printf '[Manager]\nDefaultTimeoutStartSec=infinity\nDefaultTimeoutStopSec=infinity\n' \
	> "$root/etc/systemd/system.conf"
printf 'event_timeout=3600\n' > "$root/etc/udev/udev.conf"

(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) > "$folder/systemd.new"
mv "$folder/systemd.new" "$folder/systemd"
