#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# check of a sound device, sparse or thick, says clean, finds nothing and exits with 0.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
for prealloc in '' --prealloc; do
	format --create=16M $prealloc
	for repair in '' --repair; do
		before=$(sha256sum < "$device")
		status 0 "$kmemblk" check $repair "$device"
		silent err
		says out "^$device: clean \([0-9]+ entries, [0-9]+ pages used\)$"
		test "$(wc -l < "$tmp/out")" -eq 1 || fail "more than a summary: $(cat "$tmp/out")"
		test "$before" = "$(sha256sum < "$device")" || fail "the device was changed"
	done
	rm "$device"
done
