#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk that is on two machines: Linux md raid1 over this host's kmemblk server and another host's.
# When either server is gone the disk goes on with the other; when it is back, only what was changed
# since is copied.  Reads come from this host.
#
# usage, as root, on the host that uses the disk, with a server running on both:
#
#     mirror.sh create HOST    make /dev/md0 of the two disks; both must be new: freshly formatted
#     mirror.sh start HOST     after a boot of this host
#     mirror.sh rejoin HOST    after the other server was gone and has been started again; with
#                              localhost: this host's
#     mirror.sh stop           after the disk is unmounted
#
# Notes:
#
#   - `create` leaves out the first copying, which would store each zero of one disk on the other.
#     That is right for disks that were never written, and only for them.
#   - One connection a disk, no -persist: a request that failed is sent again by nobody but md, to
#     the other disk, so no stale write can follow a newer one.  That also needs a server that is
#     new when its disk rejoins: restart one that was only cut off (kill -9 it if it does not end).
#   - A host that vanishes says nothing.  The disk stands still until the timeout, so this must be
#     longer than the slowest answer, and shorter than users wait.
#   - The second disk is write-mostly: read only if there is no other.
#   - Two hosts that use the disk at a time destroy it; only one may `start` it.

set -euo pipefail

md=/dev/md0
timeout=30

# attach DISK HOST
attach() {
	modprobe nbd
	nbd-client "$2" "$1" -b 4096 -timeout "$timeout"
}

disk_of() {
	if test "$1" = localhost; then
		echo /dev/nbd0
	else
		echo /dev/nbd1
	fi
}

usage() {
	sed -n 's/^#     mirror/usage: mirror/p' "$0" >&2
	exit 2
}

command=${1:-}
host=${2:-}
test -n "$host" || test "$command" = stop || usage

case $command in
create)
	attach /dev/nbd0 localhost
	attach /dev/nbd1 "$host"
	# 1 MiB a bit: the default of 64 MiB copies much more than what was changed.
	mdadm --create $md --run --assume-clean --metadata=1.2 --level=1 --raid-devices=2 \
		--bitmap=internal --bitmap-chunk=1M /dev/nbd0 --write-mostly /dev/nbd1
	;;
start)
	attach /dev/nbd0 localhost
	attach /dev/nbd1 "$host"
	mdadm --assemble $md /dev/nbd0 /dev/nbd1
	;;
rejoin)
	disk=$(disk_of "$host")
	# It is in the mirror still if nothing was written meanwhile.
	mdadm $md --fail "$disk" --remove "$disk" || true
	nbd-client -d "$disk"
	attach "$disk" "$host"
	mdadm $md --re-add "$disk"
	;;
stop)
	mdadm --stop $md
	nbd-client -d /dev/nbd0
	nbd-client -d /dev/nbd1
	;;
*)
	usage
	;;
esac
