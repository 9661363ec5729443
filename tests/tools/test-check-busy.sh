#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device that is being served cannot be checked: 8, and the message names the server.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires nbdkit --version
device d
format --create=16M
start_nbdkit "$device"
for options in '' --repair --json; do
	status 8 "$kmemblk" check $options "$device"
	silent out
	says err "^kmemblk: .*$device.*in use by .*$server"
	says err nbdkit
	test "$(wc -l < "$tmp/err")" -eq 1 || fail "more than one line: $(cat "$tmp/err")"
done
stop_nbdkit
status 0 "$kmemblk" check "$device"
