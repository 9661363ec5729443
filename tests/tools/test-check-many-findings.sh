#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# More damage than anybody reads is counted, not listed without end.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
# The first leaf is on the page after the record.
format --create=64M --prealloc
python3 -c 'import sys
with open(sys.argv[1], "r+b") as device:
    device.seek(int(sys.argv[2]) * 4096)
    device.write(b"\xff" * 8 * 12000)' "$device" 5
status 4 "$kmemblk" check "$device"
says out '^left: .*\b11[0-9]{3} more damaged entries'
test "$(wc -l < "$tmp/out")" -le 1000 || fail "$(wc -l < "$tmp/out") lines"
status 0 "$kmemblk" info --json "$device"
json_is 'j["entries_damaged"]' 12000
