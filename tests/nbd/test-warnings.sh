#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the media does not give is told once, when the server starts; nothing else is.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

# expect_warnings DEVICE PATTERN...: one line for each, in this order, and no other.
expect_warnings() {
	local device=$1 log pattern number=0
	shift
	start_nbdkit "$device" create=16M
	stop_nbdkit
	log=$tmp/nbdkit$servers.log
	test "$(grep -c . "$log")" -eq $# || fail "not $# lines: $(cat "$log")"
	for pattern; do
		number=$((number + 1))
		sed -n ${number}p "$log" | grep -qE "^nbdkit: kmemblk: warning: $device: $pattern" ||
			fail "line $number is not '$pattern': $(cat "$log")"
	done
}

device disk
expect_warnings "$device" 'what is written survives the server, not a restart of the host$'

# The build folder is somewhere else than on tmpfs, mostly, and on a disk, mostly.
folder_on_disk
"$kmemblk" format --create=16M "$folder/disk" > /dev/null
slow='an ordinary file is slow: each write waits for it twice$'
case $("$kmemblk" info --json "$folder/disk") in
*'"persistence":"power-fail"'*) expect_warnings "$folder/disk" "$slow" ;;
*'"persistence":"process"'*) expect_warnings "$folder/disk" 'what is written survives the server' "$slow" ;;
*) expect_warnings "$folder/disk" 'the system does not tell .*see PERSISTENCE in kmemblk\(1\)$' "$slow" ;;
esac
