#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Downloads the Debian packages that only guests use and unpacks them into a folder.  They are not
# installed: a kernel would make a boot entry on this machine, ndctl and nbd-client come with
# services.  Needs no root.
#
# What this machine's lists of packages name may have left the archive since they were made: then, or
# without lists, it fetches lists of its own and tries again.
#
# usage: tests/vm/fetch-packages.sh FOLDER

set -euo pipefail

folder=$1
packages=(
	btrfs-progs
	daxctl
	dmsetup
	libdevmapper1.02.1
	libiniparser1
	libkeyutils1
	libkmod2
	liblzo2-2
	libnl-3-200
	libnl-genl-3-200
	libsystemd-shared
	mdadm
	nbd-client
	ndctl
	systemd
	udev
)

rm -rf "$folder" "$folder.new"
mkdir -p "$folder.new/root"
trap 'rm -rf "$folder.new"' EXIT
cd "$folder.new"

options=(-o Acquire::Retries=3)

# The package of this name only names the kernel's current one.
find_kernel() {
	apt-cache "${options[@]}" depends linux-image-cloud-amd64 2> /dev/null |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p'
}

download() {
	kernel=$(find_kernel) && test -n "$kernel" &&
		apt-get -q "${options[@]}" download "${packages[@]}" "$kernel"
}

fetch_lists() {
	mkdir -p lists/partial cache/archives/partial
	options+=(-o "Dir::State::Lists=$PWD/lists" -o "Dir::Cache=$PWD/cache"
		-o APT::Sandbox::User=)
	apt-get -q "${options[@]}" update
}

if ! { download || { fetch_lists && download; }; } > download.log 2>&1; then
	cat download.log >&2
	echo "$0: apt-get failed (see above); check the network and /etc/apt" >&2
	exit 1
fi
for package in *.deb; do
	dpkg-deb -x "$package" root
done
cd - > /dev/null
mv "$folder.new/root" "$folder"
