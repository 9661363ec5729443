#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The disk under an ordinary file fails to take what it is given: the client is told, also at a
# flush, nothing is written any more, the server lives; and when the device is served again all
# that was acknowledged is there.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

test -z "${asan_library:-}" || skip "AddressSanitizer has LD_PRELOAD to itself"
folder_on_disk
device=$folder/disk

expect() {
	local pattern=$1
	shift
	qemu_io "$@" > "$tmp/qemu-io.log" || true
	grep -q -- "$pattern" "$tmp/qemu-io.log" ||
		fail "$*: not '$pattern': $(cat "$tmp/qemu-io.log")"
}

export MSYNC_FAILS=$tmp/now
LD_PRELOAD=$PWD/.libs/failing-msync.so start_nbdkit "$device" create=8M
expect 'wrote 1048576' 'write -P 1 0 1M'
expect 'wrote 65536' 'write -P 2 64k 64k'

# One connection, which was made while all was well.
touch "$MSYNC_FAILS"
qemu_io 'write -P 3 128k 4k' flush 'write -P 4 0 4k' 'write -P 4 4M 1' 'write -z 0 4k' \
	'discard 0 4k' 'read -P 2 64k 64k' > "$tmp/failed.log" || true
grep -q 'write failed: Input/output error' "$tmp/failed.log" || fail "$(cat "$tmp/failed.log")"
test "$(grep -c 'write failed: Operation not permitted' "$tmp/failed.log")" -eq 3 ||
	fail "it went on writing: $(cat "$tmp/failed.log")"
grep -q 'discard failed: Operation not permitted' "$tmp/failed.log" ||
	fail "it went on discarding: $(cat "$tmp/failed.log")"
grep -q 'read 65536' "$tmp/failed.log" || fail "$(cat "$tmp/failed.log")"
rm "$MSYNC_FAILS"

# For good, since it is not known what is durable: a new client may read only.
expect 'Permission denied' 'write -P 4 0 4k'
qemu-io -r -f raw -c 'read -P 2 64k 64k' "$uri" > "$tmp/qemu-io.log" 2>&1 || true
grep -q 'read 65536' "$tmp/qemu-io.log" || fail "$(cat "$tmp/qemu-io.log")"
! grep -q 'verification failed' "$tmp/qemu-io.log" "$tmp/failed.log" || fail "$(cat "$tmp/qemu-io.log")"
kill -0 "$server" || fail "the server is gone"
grep -q "persist: $device: now read-only, since it is unknown what is durable" \
	"$tmp/nbdkit1.log" || fail "no word of it: $(cat "$tmp/nbdkit1.log")"

stop_nbdkit
check_device
start_nbdkit "$device"
for command in 'read -P 1 0 64k' 'read -P 2 64k 64k' 'read -P 1 132k 892k' 'read -P 0 1M 6M'; do
	must "$command"
done
# The block in question is old or new, and whole.
qemu_io 'read -P 1 128k 4k' > "$tmp/old.log" || true
qemu_io 'read -P 3 128k 4k' > "$tmp/new.log" || true
test "$(cat "$tmp/old.log" "$tmp/new.log" | grep -c 'verification failed')" -eq 1 ||
	fail "block 32 is neither old nor new: $(cat "$tmp/old.log" "$tmp/new.log")"
expect 'wrote 4096' 'write -P 5 128k 4k'
