#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs the Debian packages that building (and, with --tests, testing, with --bench, measuring) needs
# and that are not there yet.  Quiet, and nothing at all when nothing is missing.  Recommended packages are left
# out, policy-rc.d holds back every service that a package would start, and nothing is added to what
# runs at boot.
#
# usage: scripts/install-deps.sh [--tests] [--bench] [--print]
#   --tests   also what only tests call
#   --bench   also what `make bench` measures beside kmemblk, and what draws its pictures
#   --print   only tell what is missing

set -euo pipefail

build=(
	autoconf
	automake
	check
	gcc
	libblkid-dev
	libc6-dev
	libisal-dev
	libjemalloc-dev
	libjson-c-dev
	libnbd-dev
	libncurses-dev
	libnuma-dev
	libpmem-dev
	libpmem2-dev
	libtool
	liburcu-dev
	make
	nbdkit
	nbdkit-plugin-dev
	perl
	pkg-config
	uuid-dev
)

# What the example calls beyond that.
run=(
	e2fsprogs
	libnbd-bin
	mount
	util-linux
)

# The guests of tests/vm run on other packages, too, which are unpacked, not installed: see
# tests/vm/fetch-packages.sh.
tests=(
	btrfs-progs
	busybox-static
	clang
	clang-format
	cpio
	cppcheck
	fdisk
	fio
	git
	gnutls-bin
	libclang-rt-dev
	postgresql
	procps
	python3
	qemu-system-x86
	qemu-utils
	redis-tools
	shellcheck
	sqlite3
	systemd
	valgrind
	xfsprogs
	xz-utils
)

bench=(
	libpmemblk-dev
	nbd-server
	python3
	python3-matplotlib
	qemu-utils
)

wanted=("${build[@]}" "${run[@]}")
print=
for arg; do
	case $arg in
	--tests) wanted+=("${tests[@]}") ;;
	--bench) wanted+=("${bench[@]}") ;;
	--print) print=yes ;;
	*)
		echo "usage: $0 [--tests] [--bench] [--print]" >&2
		exit 2
		;;
	esac
done

installed() {
	local status
	status=$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) && test "$status" = installed
}

missing=()
for package in "${wanted[@]}"; do
	installed "$package" || missing+=("$package")
done

if test -n "$print"; then
	test ${#missing[@]} -eq 0 || echo "${missing[*]}"
	exit 0
fi
test ${#missing[@]} -gt 0 || exit 0

if test "$(id -u)" -ne 0; then
	echo "$0: these Debian packages are missing; install them as root, then try again:" >&2
	echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

# PACKAGE:SERVICE, what would run at boot, of packages that come now.
services=()
for service in fio:fio nbd-server:nbd-server postgresql-common:postgresql; do
	installed "${service%:*}" || services+=("$service")
done

log=$(mktemp)
policy=
folder=
cleanup() {
	rm -f "$log"
	test -z "$policy" || rm -f "$policy"
	test -z "$folder" || rm -rf "$folder"
}
trap cleanup EXIT

# 101: "not allowed", to invoke-rc.d.  A policy that is already there is the machine's own.
if test ! -e /usr/sbin/policy-rc.d; then
	policy=/usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' > "$policy"
	chmod 755 "$policy"
fi

# PostgreSQL makes a database for its service, but where this says otherwise.
if [[ " ${missing[*]} " == *' postgresql '* && ! -e /etc/postgresql-common/createcluster.d ]]; then
	folder=/etc/postgresql-common/createcluster.d
	mkdir -p $folder
	echo 'create_main_cluster = false' > $folder/kmemblk.conf
fi

echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# A machine that has just been started may be updating itself: wait for apt's lock.
options=(-q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
if ! { apt-get "${options[@]}" update &&
	apt-get "${options[@]}" -y --no-install-recommends install "${missing[@]}"; } \
	> "$log" 2>&1 < /dev/null; then
	cat "$log" >&2
	echo "$0: apt-get failed (its output is above); check the network and /etc/apt" >&2
	exit 1
fi

# systemctl may link into the run levels what it disables.  That of fio is linked there only.
for service in "${services[@]}"; do
	if installed "${service%:*}"; then
		test ! -e "/lib/systemd/system/${service#*:}.service" ||
			systemctl --quiet disable "${service#*:}.service" > "$log" 2>&1 || cat "$log" >&2
		update-rc.d -f "${service#*:}" remove > /dev/null
	fi
done
