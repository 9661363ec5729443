#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# create= makes the file where it is not there, and uses it as it is where it is, also when another
# server makes it at the same moment.  The path may be relative and named without path=.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires nbdinfo --version
requires nbdcopy --version
device disk

# no_size_warning, size_warning ASKED THERE: what the last server said when it started.
no_size_warning() {
	! grep -q 'create= asks' "$tmp/nbdkit$servers.log" || fail "$(cat "$tmp/nbdkit$servers.log")"
}
size_warning() {
	grep -q "warning: $device: create= asks for $1 bytes, but the device .* has $2 bytes" \
		"$tmp/nbdkit$servers.log" || fail "no warning: $(cat "$tmp/nbdkit$servers.log")"
}

cd /dev/shm
start_nbdkit --filter=nofilter "$(basename "$device")" create=16M numa=0
size=$(nbdinfo --size "$uri")
echo "kept" | nbdcopy - "$uri"
stop_nbdkit
no_size_warning
test "$(stat -c %s "$device")" -eq $((16 << 20)) || fail "the file is not of the size that was asked"

start_nbdkit "$device" create=16M
stop_nbdkit
no_size_warning

# Another size and another way to name it: the same disk, and both sizes are told.
start_nbdkit path="$device" create=32M numa=off
test "$(nbdinfo --size "$uri")" -eq "$size" || fail "create= changed the disk's size"
nbdcopy "$uri" "$tmp/out"
test "$(head -c 4 "$tmp/out")" = kept || fail "create= changed the disk"
stop_nbdkit
size_warning $((32 << 20)) $((16 << 20))

# Two at once: one serves, the other finds the device taken.
for ((round = 0; round < 10; round++)); do
	rm -f "$device" "$tmp"/race*
	pids=()
	for i in 1 2; do
		nbdkit -f -U "$tmp/race$i" -P "$tmp/race$i.pid" "$plugin" "$device" create=16M \
			> "$tmp/race$i.log" 2>&1 &
		pids+=($!)
		cleanup_fn end_process $!
	done
	# One of them ends by itself.
	failed=0
	wait -n -p loser "${pids[@]}" || failed=$?
	for i in 1 2; do
		if test "${pids[i - 1]}" = "$loser"; then
			grep -q 'open elsewhere\|in use\|is served\|busy' "$tmp/race$i.log" ||
				fail "the second server does not say why: $(cat "$tmp/race$i.log")"
		else
			kill -0 "${pids[i - 1]}" || fail "both ended: $(cat "$tmp"/race?.log)"
			end_process "${pids[i - 1]}"
		fi
	done
	test "$failed" -eq 1 || fail "the second server ended with status $failed"
	check_device
done
