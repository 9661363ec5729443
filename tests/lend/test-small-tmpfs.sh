#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk on a tmpfs that is too small for it.  New blocks get ENOSPC; what is mapped can be
# overwritten, in any order and also while others are refused; reads never fault; the server lives;
# and the file system on the disk goes on once there is room again.  Needs root, for a tmpfs in a
# mount namespace of its own.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

requires_root
requires unshare --mount true
if test -z "${KMEMBLK_OWN_NAMESPACE:-}"; then
	KMEMBLK_OWN_NAMESPACE=1 unshare --mount "$0"
	exit
fi
requires mkfs.ext4 -V
mkdir "$tmp/small"
mount -t tmpfs -o size=64M kmemblk-test "$tmp/small" || skip "mount does not work here"
cleanup_fn umount "$tmp/small"
device=$tmp/small/disk
cleanup_fn stop_nbdkit
start_nbdkit "$device" create=256M
blocks=$(($(nbdinfo --size "$uri") / 4096))
got=$(load fill 0 "$blocks" 1)
test "$got" -gt 8000 || fail "ENOSPC after $got blocks; 64 MiB are 16384"
test "$got" -lt 16384 || fail "$got blocks in 64 MiB"
# Overwriting and refusing at once.
clients=()
for i in 0 1 2; do
	(for version in 2 3 4; do
		test "$(load fill $((i * 2000)) 2000 $version)" -eq 2000 || exit 1
		load verify $((i * 2000)) 2000 $version
	done) &
	clients+=($!)
done
for _ in 1 2 3 4 5; do
	test "$(load fill 30000 10 1)" -lt 10 || fail "the tmpfs is full, and new blocks are written"
done
for pid in "${clients[@]}"; do
	wait "$pid" || fail "what has pages cannot be overwritten"
done
load verify 6000 $((got - 6000)) 1
load verify 40000 10000 0
# Others have taken what was left of the tmpfs, to the last page.
dd if=/dev/zero of="$tmp/small/filler" bs=4096 2> "$tmp/dd.log" || true
test "$(load fill 0 "$got" 7)" -eq "$got" || fail "overwriting depends on room in the tmpfs"
load verify 0 "$got" 7
rm "$tmp/small/filler"
# Trimmed here, there is room elsewhere.
load trim 0 4000 0
test "$(load fill 50000 3000 8)" -eq 3000 || fail "no room after a trim"
load verify 50000 3000 8
load verify 4000 $((got - 4000)) 7
kill -0 "$server" || fail "the server is gone"
stop_nbdkit
check_device

# A file system above: full below, it says so; then there is room, and it goes on.
# Its metadata have their pages from the start: zeroes that are written, no holes.
start_nbdkit --filter=nozero "$device"
load trim 0 "$blocks" 0
mkdir "$tmp/mnt"
attach_disk
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$loop"
mount -o errors=continue "$loop" "$tmp/mnt"
cleanup_fn umount "$tmp/mnt"
head -c 4M /dev/urandom > "$tmp/mnt/kept"
sum=$(sha256sum < "$tmp/mnt/kept")
sync -f "$tmp/mnt"
# Whether the file system hears of it is up to what lies between.
before=$(logged 'error: write: ' | wc -l || true)
dd if=/dev/urandom of="$tmp/mnt/large" bs=1M count=60 conv=fsync 2> "$tmp/large.log" || true
test "$(logged 'error: write: ' | wc -l)" -gt "$before" || fail "60 MiB more in what is left of 64"
rm "$tmp/mnt/large"
sync -f "$tmp/mnt"
fstrim "$tmp/mnt"
before=$(logged 'error: write: ' | wc -l || true)
head -c 8M /dev/urandom > "$tmp/mnt/again"
again=$(sha256sum < "$tmp/mnt/again")
sync -f "$tmp/mnt"
test "$(logged 'error: write: ' | wc -l)" -eq "$before" || fail "no room after the trim"
umount "$tmp/mnt"
mount -o errors=continue "$loop" "$tmp/mnt"
test "$(sha256sum < "$tmp/mnt/kept")" = "$sum" || fail "a file changed"
test "$(sha256sum < "$tmp/mnt/again")" = "$again" || fail "a file written after the trim changed"
kill -0 "$server" || fail "the server is gone"
