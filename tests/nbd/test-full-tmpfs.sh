#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A thin disk on a tmpfs that is too small for it: a block that has no page gets ENOSPC, a block that
# has one can be overwritten, and the server lives.  Needs root, to mount a tmpfs of its own.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires_root
requires qemu-io --version
mkdir "$tmp/small"
mount -t tmpfs -o size=48M kmemblk-test "$tmp/small" || skip "mount does not work here"
cleanup_fn umount "$tmp/small"
device=$tmp/small/disk
start_nbdkit "$device" create=256M
cleanup_fn stop_nbdkit

qemu_io() {
	local args=()
	for command; do
		args+=(-c "$command")
	done
	qemu-io -f raw "${args[@]}" "$uri" > "$tmp/qemu-io.log" 2>&1 || true
	cat "$tmp/qemu-io.log"
}

qemu_io 'write -P 1 0 16M' | grep -q 'wrote 16777216' || fail "there is room for this"

# Until it is full.
for ((at = 16; at < 80; at++)); do
	qemu_io "write -P 2 ${at}M 1M" > "$tmp/write.log"
	! grep -q 'No space left' "$tmp/write.log" || break
	grep -q 'wrote 1048576' "$tmp/write.log" || fail "$(cat "$tmp/write.log")"
done
test $at -gt 30 || fail "full after $at MiB of 48"
test $at -lt 48 || fail "never full"

# What has its pages is as good as ever.
for ((round = 3; round < 8; round++)); do
	qemu_io "write -P $round 0 16M" | grep -q 'wrote 16777216' ||
		fail "what has pages cannot be overwritten: $(cat "$tmp/qemu-io.log")"
done
qemu_io 'read -P 7 0 16M' | grep -q 'read 16777216' || fail "$(cat "$tmp/qemu-io.log")"
! qemu_io 'read -P 7 0 16M' | grep -q 'verification failed' || fail "$(cat "$tmp/qemu-io.log")"
qemu_io 'read -P 2 16M 14M' > "$tmp/read.log"
! grep -qE 'fail' "$tmp/read.log" || fail "$(cat "$tmp/read.log")"
# A hole reads as zeroes though there is no memory for a page of them.
qemu_io 'read -P 0 200M 16M' > "$tmp/read.log"
! grep -qE 'fail' "$tmp/read.log" || fail "$(cat "$tmp/read.log")"

# What is trimmed can be written elsewhere.
qemu_io 'discard 0 8M' > "$tmp/discard.log"
qemu_io 'write -P 9 100M 4M' | grep -q 'wrote 4194304' || fail "$(cat "$tmp/qemu-io.log")"
kill -0 "$server" || fail "the server is gone"

stop_nbdkit
"$kmemblk" check "$device" > "$tmp/check.log" || fail "$(cat "$tmp/check.log")"
start_nbdkit "$device"
qemu_io 'read -P 9 100M 4M' > "$tmp/read.log"
! grep -qE 'fail' "$tmp/read.log" || fail "$(cat "$tmp/read.log")"
stop_nbdkit
