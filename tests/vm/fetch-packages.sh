#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Downloads the Debian packages that only guests use and unpacks them into a folder.  They are not
# installed: a kernel would make a boot entry on this machine, ndctl and nbd-client come with
# services.  Needs no root, but apt's lists of packages.
#
# usage: tests/vm/fetch-packages.sh FOLDER

set -euo pipefail

folder=$1
packages=(
	daxctl
	libiniparser1
	libkeyutils1
	libkmod2
	libnl-3-200
	libnl-genl-3-200
	libsystemd-shared
	mdadm
	nbd-client
	ndctl
	systemd
	udev
)

# The package of this name only names the kernel's current one.
kernel=$(apt-cache depends linux-image-cloud-amd64 2> /dev/null |
	sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p')
if test -z "$kernel"; then
	echo "$0: apt knows no linux-image-cloud-amd64; as root, type: apt-get update" >&2
	exit 1
fi

rm -rf "$folder" "$folder.new"
mkdir -p "$folder.new/root"
trap 'rm -rf "$folder.new"' EXIT
cd "$folder.new"
if ! apt-get -q download "${packages[@]}" "$kernel" > download.log 2>&1; then
	cat download.log >&2
	echo "$0: apt-get download failed (see above); as root, type: apt-get update" >&2
	exit 1
fi
for package in *.deb; do
	dpkg-deb -x "$package" root
done
cd - > /dev/null
mv "$folder.new/root" "$folder"
