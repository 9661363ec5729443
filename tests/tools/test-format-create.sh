#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --create makes the file, of exactly that size.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
status 0 "$kmemblk" format --create=20M "$device"
test "$(stat -c %s "$device")" -eq $((20 << 20)) || fail "the file has another size"
status 0 "$kmemblk" check "$device"
