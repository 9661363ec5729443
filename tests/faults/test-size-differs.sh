#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device that is smaller than its superblock says is not served, and neither check nor repair nor
# the attempt changes it; one that is larger is served with what it has.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

device disk

start_nbdkit "$device" create=16M
must 'write -P 1 0 4M'
stop_nbdkit
cp --sparse=always "$device" "$tmp/whole"

for size in $((16 * 1024 * 1024 - 4096)) 8M 12288 4096; do
	truncate -s "$size" "$device"
	cp --sparse=always "$device" "$tmp/short"
	for option in readonly=false readonly=true; do
		expect_error 1 "$device: .*(cut short|too small|only)" \
			try_nbdkit "$device" "$option"
	done
	expect_error 4 'left: .*has only' "$kmemblk" check "$device"
	expect_error 4 'left: .*has only' "$kmemblk" check --repair "$device"
	cmp "$device" "$tmp/short" || fail "the device of $size bytes was changed"
	# As it was, it is as good as ever.
	cat "$tmp/whole" > "$device"
done
start_nbdkit "$device"
must 'read -P 1 0 4M'
stop_nbdkit

truncate -s 24M "$device"
check_device
grep -q 'note: the device has 6144 pages, of which the format uses 4096' "$tmp/check.log" ||
	fail "$(cat "$tmp/check.log")"
start_nbdkit "$device"
must 'read -P 1 0 4M'
stop_nbdkit
cmp -n $((16 * 1024 * 1024)) "$device" "$tmp/whole" || fail "serving changed the device"
