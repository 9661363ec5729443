#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Guest crashes: a guest that serves a devdax device to itself is killed at a random moment under a
# verified load, again and again, and loses nothing that it acknowledged.
#
# The disk has three partitions: one loaded as it is, one with ext4, one with xfs, both mounted with
# -o discard.  Each request is made durable by FUA or by a flush, and its acknowledgement leaves the
# guest before the next is sent.  Each boot checks what the crash before left: `kmemblk check`, both
# file systems after the replay of their logs, every block of the three loads.  Then it goes on.
#
# It proves the whole stack after a machine dies, not the order of flushes: under emulation, every
# store is in the host's file at once.  Flushes are the matter of tests/crash.
#
# The state is kept in a folder, so that another call goes on where this one stopped; each crash that
# was checked adds a line to its file `results`.
#
# usage: crash.sh CRASHES [FOLDER]     without a folder, the state is not kept

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

crashes=$1
folder=${2:-$tmp}

# ---- in the guest ----

partition() {
	printf 'size=%s\n' 24M 100M | sfdisk -q /dev/nbd0
	printf 'size=%s\n' 320M | sfdisk -q -a /dev/nbd0
	wait_until test -b /dev/nbd0p3
	mkfs.ext4 -q /dev/nbd0p2
	mkfs.xfs -q /dev/nbd0p3
}

mount_both() {
	mkdir -p /ext4 /xfs
	mount -o discard /dev/nbd0p2 /ext4
	mount -o discard /dev/nbd0p3 /xfs
}

unmount_both() {
	umount /ext4
	umount /xfs
}

# load NAME DONE OPTION...: DONE is the last acknowledged request of each thread, with commas.
load() {
	local name=$1 done=$2 file
	shift 2
	case $name in
	raw) file=/dev/nbd0p1 ;;
	*) file=/$name/loaded ;;
	esac
	# shellcheck disable=SC2086
	./load "$name" "$file" "$@" ${done//,/ }
}

# boot NEW END RAW EXT4 XFS: NEW makes the device; END stops after the check.
boot() {
	local new=$1 end=$2
	shift 2
	if test -n "$new"; then
		devdax
		kmemblk format /dev/dax0.0
	fi
	wait_until test -c /dev/dax0.0
	kmemblk check /dev/dax0.0
	serve /dev/dax0.0
	attach localhost
	if test -n "$new"; then
		partition
	else
		# Its partitions are looked for when it is opened.
		blockdev --rereadpt /dev/nbd0
		wait_until test -b /dev/nbd0p3
		mount_both
		unmount_both
		check_fs ext4 /dev/nbd0p2
		check_fs xfs /dev/nbd0p3
	fi
	mount_both
	test -z "$new" || truncate -s 16M /ext4/loaded /xfs/loaded
	sync
	load raw "$1"
	load ext4 "$2"
	load xfs "$3"
	say verified
	if test -n "$end"; then
		unmount_both
		return
	fi
	open_acks
	load raw "$1" -a 3 -s 1000000 &
	load ext4 "$2" -a 3 -s 1000000 &
	load xfs "$3" -a 3 -s 1000000 &
	wait -n
	fail "the load ended before the guest crashed"
}

# ---- on the host ----

mkdir -p "$folder"
image=$folder/nvdimm
acks=$folder/acks
build=$(sha256sum < "$abs_top_builddir/kmemblk.so" | cut -c 1-12)

# The last acknowledged request of each thread, by load.  A line that was cut off is none.
acknowledged() {
	test -z "$(tail -c 1 "$acks")" || sed -i '$d' "$acks"
	awk -v which="$1" '$1 == which && $3 > last[$2] { last[$2] = $3 }
		END { print last[0] + 0 "," last[1] + 0 "," last[2] + 0 "," last[3] + 0 }' "$acks"
}

# Only the last acknowledgement of each thread counts: 12 lines.
compact_acks() {
	local name number last
	for name in raw ext4 xfs; do
		number=0
		for last in $(acknowledged $name | tr , ' '); do
			echo "$name $number $last"
			number=$((number + 1))
		done
	done > "$acks.new"
	cp "$acks.new" "$acks.booted"
	mv "$acks.new" "$acks"
}

# boot_guest END: what it was told is there, or this fails.  The state is kept then.
boot_guest() {
	local new=''
	if ! test -e "$folder/begun"; then
		new=yes
		rm -f "$image" "$folder/results" "$folder/crashed"
		truncate -s 512M "$image"
		: > "$acks"
	fi
	compact_acks
	guest_start one nvdimm="$image" acks="$acks" -- boot "$new" "$1" \
		"$(acknowledged raw)" "$(acknowledged ext4)" "$(acknowledged xfs)"
	guest_said one verified
	touch "$folder/begun"
	if test -e "$folder/crashed"; then
		echo "$build $(awk '{ sum += $3 } END { print sum }' "$acks.booted")" >> "$folder/results"
		rm "$folder/crashed"
	fi
}

for ((i = 0; i < crashes; i++)); do
	boot_guest ''
	touch "$folder/crashed"
	# Each load has begun.
	until test "$(grep -c '^raw ' "$acks")" -gt 4 && test "$(grep -c '^ext4 ' "$acks")" -gt 4 &&
		test "$(grep -c '^xfs ' "$acks")" -gt 4; do
		kill -0 "${guest_pids[one]}" 2> /dev/null || guest_fail one "ended before it was to crash"
		sleep 0.1
	done
	sleep $((RANDOM % 4)).$((RANDOM % 1000))
	guest_kill one
done
boot_guest end
guest_wait one

awk '{ crashes[$1]++; last = $2 } END {
	for (build in crashes) {
		printf "plugin %s: %d guest crashes\n", build, crashes[build]
		sum += crashes[build]
	}
	printf "%d guest crashes, %d acknowledged requests, 0 lost, 0 torn\n", sum, last
}' "$folder/results"
