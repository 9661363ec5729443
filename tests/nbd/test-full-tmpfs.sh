#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A sparse disk on a tmpfs that is too small for it: a block that has no page gets ENOSPC, a block that
# has one can be overwritten, and the server lives.  Needs root, to mount a tmpfs of its own.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

requires_root
mkdir "$tmp/small"
mount -t tmpfs -o size=48M kmemblk-test "$tmp/small" || skip "mount does not work here"
cleanup_fn umount "$tmp/small"
device=$tmp/small/disk
start_nbdkit "$device" create=256M
cleanup_fn stop_nbdkit

must 'write -P 1 0 16M'

# Until it is full.
for ((at = 16; at < 80; at++)); do
	qemu_io "write -P 2 ${at}M 1M" > "$tmp/write.log" || true
	! grep -q 'No space left' "$tmp/write.log" || break
	grep -q 'wrote 1048576' "$tmp/write.log" || fail "$(cat "$tmp/write.log")"
done
test $at -gt 30 || fail "full after $at MiB of 48"
test $at -lt 48 || fail "never full"

# What has its pages is as good as ever.
for ((round = 3; round < 8; round++)); do
	must "write -P $round 0 16M"
done
must 'read -P 7 0 16M' 'read -P 2 16M 14M'
# A hole reads as zeroes though there is no memory for a page of them.
must 'read -P 0 200M 16M'

# What is trimmed can be written elsewhere.
must 'discard 0 8M'
must 'write -P 9 100M 4M'
kill -0 "$server" || fail "the server is gone"

stop_nbdkit
check_device
start_nbdkit "$device"
must 'read -P 9 100M 4M'
stop_nbdkit
