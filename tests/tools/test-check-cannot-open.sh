#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What cannot be opened is an operational error: 8, one message, nothing on standard output.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

for path in "$tmp/none" "$tmp" /dev/null; do
	for options in '' --json --repair; do
		status 8 "$kmemblk" check $options "$path"
		silent out
		says err "^kmemblk: .*$path"
		test "$(wc -l < "$tmp/err")" -eq 1 || fail "more than one line: $(cat "$tmp/err")"
	done
done
