#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Sizes are powers of 1024, with K, M, G or T in either case, or plain bytes.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
for size in 1048576 1024K 1024k 1M 1m; do
	format --create=$size
	test "$(stat -c %s "$device")" -eq 1048576 || fail "$size is not 1048576 bytes"
	rm "$device"
done
format --create=2G --size=1g
test "$(stat -c %s "$device")" -eq $((2 << 30)) || fail "2G is not 2 GiB"
status 0 "$kmemblk" info --json "$device"
json_is 'j["size_bytes"]' $((1 << 30))
status 8 "$kmemblk" format --force --size=1T "$device"
