#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A snapshot that is taken under databases holds what a power failure at that instant would have left.  SQLite and
# PostgreSQL are under load on ext4, and then on xfs, and a snapshot is made every second, KMEMBLK_DATABASE_ROUNDS (3) times.
# A clone of each is mounted, so that the file system replays its log, and the databases recover: they are sound, have every
# transaction that was acknowledged before the snapshot was asked for, none that was begun when it was there, and no hole
# between.  Then the file system on the clone is checked, and clone and snapshot are deleted, while the load and the later
# snapshots go on.  In the end the device and the volume's own file system are sound.  Needs root.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/nbd/databases.sh"

rounds=${KMEMBLK_DATABASE_ROUNDS:-3}

test -z "${asan_library:-}" || skip "a server with AddressSanitizer reads no JSON: tests/functions.sh"
requires_attach
requires mkfs.ext4 -V
requires mkfs.xfs -V
requires_databases

# take_snapshots NOTES: one a second, of a load that has gone on since the one before.  NOTES/I is there when snapshot I
# is, with a line for each database: its name, the last transaction acknowledged before and after.
take_snapshots() {
	local i name
	local -A before after
	for name in $databases; do
		after[$name]=0
	done
	for ((i = 1; i <= rounds; i++)); do
		sleep 1
		for name in $databases; do
			until test "$(acknowledged "$1/$name")" -gt "${after[$name]}"; do
				sleep 0.05
			done
		done
		for name in $databases; do
			before[$name]=$(acknowledged "$1/$name")
		done
		"$kmemblk" snapshot "$device" "kmem0@s$i" > /dev/null
		for name in $databases; do
			after[$name]=$(acknowledged "$1/$name")
			echo "$name ${before[$name]} ${after[$name]}"
		done > "$1/$i.part"
		mv "$1/$i.part" "$1/$i"
	done
}

# await_snapshot NOTES I: while those run on whom it depends.
await_snapshot() {
	local pid
	awaited="snapshot $2"
	until test -e "$1/$2"; do
		for pid in "${writers[@]}"; do
			is_running "$pid" || fail "a writer has ended: $(cat "$1"/*.log)"
		done
		is_running "$snapshots" || test -e "$1/$2" || fail "there is no snapshot $2: $(cat "$1/snapshots")"
		sleep 0.05
	done
	awaited=
}

# check_file_system TYPE DISK: not mounted, its log replayed.
check_file_system() {
	case $1 in
	ext4) e2fsck -f -n "$2" ;;
	xfs) xfs_repair -n "$2" ;;
	esac > "$tmp/fsck.log" 2>&1 || fail "$1 is damaged: $(cat "$tmp/fsck.log")"
}

# mount_disk TYPE DISK FOLDER: also when the original is mounted.
mount_disk() {
	local how=defaults
	test "$1" != xfs || how=nouuid
	mount -t "$1" -o $how "$2" "$3"
	cleanup_fn umount "$3"
}

unmount_disk() {
	umount "$1"
	cleanup_done
}

# check_snapshot TYPE NOTES I: by way of a clone.
check_snapshot() {
	local name before after
	"$kmemblk" clone "$device" "kmem0@s$3" "clone$3" > /dev/null
	attach_export "clone$3"
	mount_disk "$1" "$loop" "$tmp/clone"
	test ! -s "$tmp/clone/sqlite-delete-journal" || journals=$((journals + 1))
	while read -r name before after; do
		sound_database "$name" "$tmp/clone" "$2/recovery$3"
		test "$newest" -ge "$before" ||
			fail "snapshot $3, $name: $before was acknowledged before, $newest is the last there"
		test "$newest" -le $((after + 1)) ||
			fail "snapshot $3, $name: $after was acknowledged afterwards, yet $newest is there"
		verified=$((verified + newest))
	done < "$2/$3"
	unmount_disk "$tmp/clone"
	check_file_system "$1" "${attached_loop[fuse-clone$3]}"
	detach_export "clone$3"
	# The server hears of the end of a connection when its client is gone already.
	eventually "$kmemblk" delete "$device" "clone$3"
	"$kmemblk" delete "$device" "kmem0@s$3" > /dev/null
}

# course TYPE: of the file system.
course() {
	local type=$1 notes=$tmp/notes-$1 i name main original
	journals=0
	verified=0
	device "$type"
	mkdir "$notes"
	# Room for each snapshot to have all that the databases are; nobody may be refused for lack of it.
	"$kmemblk" format --create=$((2048 + rounds * 256))M --size=1G "$device" > /dev/null
	start_nbdkit "$device"
	attach_disk
	main=$loop
	"mkfs.$type" -q "$main"
	mount_disk "$type" "$main" "$tmp/main"
	make_databases "$tmp/main" "$notes/postgres.log"
	original=$postgres
	start_writers "$tmp/main" "$notes"
	take_snapshots "$notes" 2> "$notes/snapshots" &
	snapshots=$!
	cleanup_fn end_process $snapshots

	for ((i = 1; i <= rounds; i++)); do
		await_snapshot "$notes" $i
		check_snapshot "$type" "$notes" $i
	done

	# It has made them all.  The shell has forgotten its status, after so many other children.
	end_process $snapshots
	cleanup_done
	stop_writers
	end_process "$original" INT
	cleanup_done
	unmount_disk "$tmp/main"
	check_file_system "$type" "$main"
	detach_disk
	test "$("$kmemblk" list "$device" | wc -l)" -eq 2 || fail "left: $("$kmemblk" list "$device")"
	stop_nbdkit
	check_device
	rm "$device"
	for name in $databases; do
		echo "$type: $name: $(acknowledged "$notes/$name") transactions were acknowledged"
	done
	echo "$type: on clones of $rounds snapshots there were $verified transactions, and $journals rollback journals"
}

mkdir "$tmp/main" "$tmp/clone"
tried=
for type in ext4 xfs; do
	if ! grep -qw $type /proc/filesystems && ! modprobe -q $type; then
		continue
	fi
	tried=yes
	course $type
done
test -n "$tried" || skip "this kernel has neither ext4 nor xfs"
