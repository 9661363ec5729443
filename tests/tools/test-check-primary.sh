#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# check finds a damaged primary superblock (4), repairs it from the copy when asked to (1), and
# is content then (0).

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M --label=before
entry 7 100
cp "$device" "$tmp/before"

poke 100 5a5a5a5a
cp "$device" "$tmp/damaged"
status 4 "$kmemblk" check "$device"
says out '^correctable: .*superblock'
says out "kmemblk check --repair $device$"
cmp "$device" "$tmp/damaged" || fail "changed without --repair"

status 1 "$kmemblk" check --repair "$device"
says out '^corrected: .*superblock'
status 0 "$kmemblk" check "$device"
status 0 "$kmemblk" info --json "$device"
json_is 'j["label"]' before
json_is 'j["pages_used"]' 1
cmp <(tail -c +4097 "$tmp/before" | head -c -4096) <(tail -c +4097 "$device" | head -c -4096) ||
	fail "more than the superblocks was changed"
