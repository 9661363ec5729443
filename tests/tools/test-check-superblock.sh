#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# check finds a damaged superblock, primary or copy (4), repairs it from the other when asked to
# (1), and is content then (0).  Nothing else is changed.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M --label=before
entry 7 100
cp "$device" "$tmp/before"

for page in 0 "$(last_page)"; do
	poke $((page + 100)) 5a5a5a5a
	cp "$device" "$tmp/damaged"
	status 4 "$kmemblk" check "$device"
	says out '^correctable: .*superblock'
	says out "kmemblk check --repair $device$"
	cmp "$device" "$tmp/damaged" || fail "changed without --repair"

	status 1 "$kmemblk" check --repair "$device"
	says out '^corrected: .*superblock'
	status 0 "$kmemblk" check "$device"
	cmp "$device" "$tmp/before" || fail "not as before the damage"
done
status 0 "$kmemblk" info --json "$device"
json_is 'j["label"]' before
json_is 'j["pages_used"]' 1
