#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A server in the background serves as one in the foreground does: its threads are made in the
# process that is left, and it can change its folder and its output.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires nbdcopy --version
device disk
head -c 10M /dev/urandom > "$tmp/in"

for round in 1 2; do
	cd /dev/shm
	nbdkit -U "$tmp/socket" -P "$tmp/pid" "$plugin" "$(basename "$device")" create=32M
	await_daemon "$tmp/pid"
	cleanup_fn kill -9 "$pid"
	uri="nbd+unix:///?socket=$tmp/socket"
	if test $round -eq 1; then
		# Enough of it that pages must be taken back.
		for ((i = 0; i < 20; i++)); do
			nbdcopy "$tmp/in" "$uri"
		done
	fi
	nbdcopy "$uri" "$tmp/out"
	cmp -n $((10 << 20)) "$tmp/in" "$tmp/out" || fail "it came out as something else"
	rm "$tmp/out"

	kill "$pid"
	while kill -0 "$pid" 2> /dev/null && ! grep -q '^State:.Z' "/proc/$pid/status"; do
		sleep 0.05
	done
	cleanup_done
	rm -f "$tmp/socket" "$tmp/pid"
	check_device
done
