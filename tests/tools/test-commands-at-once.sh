#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Commands that change one idle device at the same time wait for each other; one that has it for longer is named.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device disk
"$kmemblk" format --create=64M "$device" > "$tmp/out"
pids=()
for name in a b c d e; do
	"$kmemblk" create "$device" $name --size=1M > "$tmp/$name" 2>&1 &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || fail "one of five was refused: $(cat "$tmp"/[a-e])"
done
"$kmemblk" list "$device" > "$tmp/list"
for name in a b c d e; do
	grep -q "^$name " "$tmp/list" || fail "$name is missing: $(cat "$tmp/list")"
done
status 0 "$kmemblk" check "$device"
