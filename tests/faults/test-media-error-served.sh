#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The second half of a served device goes away: clients get EIO for what was there, also several
# at once and again and again, the rest is right, the server lives.  When the file has its length
# again, the device is served again, with what was in the first half; check and repair say and do
# what is known.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

device disk
# Each block on a page from the start, so that both halves hold some.
"$kmemblk" format --create=16M --prealloc "$device" > "$tmp/format.log"
start_nbdkit "$device"

must 'write -P 1 0 4M' 'write -P 2 10M 4M'
truncate -s 8M "$device"

# Which blocks are in which half is the store's matter; each is whole or an error.
halves() {
	local errors=0 at
	for at in {0..15}; do
		qemu_io "read -P 1 $((at * 256))k 4k" "read -P 2 $((10240 + at * 256))k 4k" || true
	done > "$tmp/halves.log"
	! grep -q 'verification failed' "$tmp/halves.log" || fail "$(cat "$tmp/halves.log")"
	errors=$(grep -c 'read failed: Input/output error' "$tmp/halves.log" || true)
	test "$errors" -gt 0 || fail "nothing was lost"
	test "$errors" -lt 32 || fail "all was lost"
}

halves
for i in 1 2 3 4; do
	qemu_io 'read 0 1M' 'read 9M 1M' 'write -P 9 13M 1k' > "$tmp/parallel$i.log" &
	pids[i]=$!
done
wait "${pids[@]}" || true
halves
kill -0 "$server" || fail "the server is gone"
grep -Eq "read: $device: cut short before page [0-9]+, near block [0-9]+" "$tmp/nbdkit1.log" ||
	fail "the page is not named: $(cat "$tmp/nbdkit1.log")"
stop_nbdkit

# Cut short, it is not opened; check says so, and repair changes nothing.
cp "$device" "$tmp/short"
expect_error 1 "$device: " try_nbdkit "$device"
expect_error 4 'cut short' "$kmemblk" check "$device"
expect_error 4 'cut short' "$kmemblk" check --repair "$device"
cmp "$device" "$tmp/short" || fail "repair changed what it could not repair"

# As long as before: only the copy of the superblock is known to be missing.
truncate -s 16M "$device"
expect_error 4 'correctable: superblock copy .*no kmemblk superblock' "$kmemblk" check "$device"
expect_error 1 'corrected: superblock copy' "$kmemblk" check --repair "$device"
check_device
start_nbdkit "$device"
must 'write -P 7 0 14M' 'read -P 7 0 14M'
