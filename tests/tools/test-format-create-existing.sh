#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --create refuses a file that exists, also with --force, and leaves it as it is.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
echo precious > "$device"
for force in '' --force; do
	status 8 "$kmemblk" format --create=16M $force "$device"
	silent out
	says err "^kmemblk: .*$device"
	test "$(cat "$device")" = precious || fail "the file was changed"
done
