#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What stands in a map past the last block, as where power fails while a volume is made smaller, is told, is no
# damage, and is cleared before the volume is used again.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M --size=4096000
entry 1000 100
entry 1023 101
status 0 "$kmemblk" check "$device"
says out '^note: kmem0: 2 entries past its end, from when it was made smaller: the next start clears them$'
says out 'clean \(1000 entries, 2 pages used\)$'
status 0 "$kmemblk" resize "$device" kmem0 --size=8M
status 0 "$kmemblk" check "$device"
says out 'clean \(2048 entries, 0 pages used\)$'
test "$(page_of 1000)$(page_of 1023)" = 00 || fail "they are not cleared"
