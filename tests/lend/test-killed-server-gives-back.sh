#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What a killed server left free but with storage is given back at the next start, and nothing else.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
start_nbdkit "$device" create=256M punch=false
test "$(load fill 0 40000 5)" -eq 40000
load trim 0 35000 0
end_process "$server" KILL
test "$(storage)" -ge $((150 << 20)) || fail "the test is no test: $(storage)"
start_nbdkit "$device"
# Its blocks, as much again at most for overwriting them, the watermark and the index.
at_most $(((5000 + 5000 + 256) * 4096 + (2 << 20)))
load verify 0 35000 0
load verify 35000 5000 5
stop_nbdkit
check_device
