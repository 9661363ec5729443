#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# info says what is wrong with something that is no kmemblk device, prints nothing else, and
# exits with 8.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
truncate -s 16M "$device"
for options in '' --json; do
	status 8 "$kmemblk" info $options "$device"
	silent out
	says err "^kmemblk: .*$device.*"
	test "$(wc -l < "$tmp/err")" -eq 1 || fail "more than one line: $(cat "$tmp/err")"
done
status 8 "$kmemblk" info "$device.none"
says err "^kmemblk: .*$device.none.*[Nn]o such file"
status 8 "$kmemblk" info "$tmp"
says err "^kmemblk: .*$tmp"
status 8 "$kmemblk" info /dev/null
says err "^kmemblk: .*/dev/null"
