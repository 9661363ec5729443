#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# An empty sparse disk takes storage for its metadata only, before it is served, while it is and after.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
"$kmemblk" format --create=1G "$device"
# Superblocks; of the index what has been written, which is nothing.
test "$(storage)" -le 65536 || fail "$(storage) bytes after format"
start_nbdkit "$device"
load verify 0 131072 0
test "$(storage)" -le 65536 || fail "$(storage) bytes while served"
stop_nbdkit
test "$(storage)" -le 65536 || fail "$(storage) bytes afterwards"
