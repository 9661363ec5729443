#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Where a file has other numbers in the kernel's list of locks than stat tells, as on btrfs and on
# overlay, the server is found all the same.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires_root
requires nbdkit --version
PATH=$PATH:/sbin:/usr/sbin

# mounted KIND: a file system of that kind is on $tmp/mount, or the test is over.
mounted() {
	mkdir -p "$tmp/mount"
	case $1 in
	btrfs)
		requires mkfs.btrfs --version
		grep -qw btrfs /proc/filesystems || modprobe btrfs 2> /dev/null || return 1
		truncate -s 256M "$tmp/image"
		mkfs.btrfs -q "$tmp/image"
		mount -o loop "$tmp/image" "$tmp/mount" 2> "$tmp/mount.log" || return 1
		;;
	overlay)
		mkdir "$tmp"/{lower,upper,work}
		mount -t overlay overlay "$tmp/mount" \
			-o "lowerdir=$tmp/lower,upperdir=$tmp/upper,workdir=$tmp/work" 2> "$tmp/mount.log" ||
			return 1
		;;
	esac
	cleanup_fn sh -c "umount '$tmp/mount' 2> /dev/null || true"
}

tried=
for kind in btrfs overlay; do
	mounted $kind || continue
	tried="$tried $kind"
	device=$tmp/mount/d
	format --create=32M
	start_nbdkit "$device"
	status 0 "$kmemblk" info --json "$device"
	json_is 'j["served_by"]["pid"]' "$server"
	status 8 "$kmemblk" check "$device"
	says err "in use by process $server \(nbdkit\)"
	stop_nbdkit
	status 0 "$kmemblk" info --json "$device"
	json_is 'j["served_by"]' None
	umount "$tmp/mount"
done
test -n "$tried" || skip "the kernel has neither btrfs nor overlay: $(cat "$tmp/mount.log")"
echo "tried on$tried"
