#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A disk that the device has no room for is refused, and the device stays as it is.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
truncate -s 16M "$device"
status 8 "$kmemblk" format --size=16M "$device"
says err "^kmemblk: .*$device.*does not fit"
cmp "$device" <(head -c 16M /dev/zero) || fail "the device was changed"
