#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# punch=false keeps the storage of free pages; watermark= says how much of it stays otherwise; and what a
# server with punch=false has left, the next one gives back.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
start_nbdkit -v "$device" create=256M punch=false
test "$(load fill 0 32768 1)" -eq 32768
load trim 0 32768 0
are_punched() {
	test "$(pages retired)" -eq 0
}
eventually are_punched
test "$(storage)" -ge $((128 << 20)) || fail "punch=false gave back: $(storage)"
stop_nbdkit

start_nbdkit -v "$device" watermark=32M
# Of the pages that were written, all but three quarters of it, and one for each table and the record, which can be
# overwritten.  Pages that were given storage and never written are not seen, and count up to the watermark.
is_punched() {
	test "$(pages punched)" -ge $((32768 - 3 * 8192 / 4 - (32768 / 512 + 2)))
}
eventually is_punched
at_most $((33 << 20))
test "$(storage)" -ge $((24 << 20)) || fail "watermark=32M kept $(storage)"
# What is kept is used first: no storage is taken, and none given back.
before=
for round in 0 1 2 3 4; do
	# In the first round what has been given back is counted.
	test "$round" -ne 1 || before=$(pages punched)
	test "$(load fill 0 4000 $((round + 1)))" -eq 4000
	load trim 0 4000 0
done
test "$(pages punched)" -eq "$before" || fail "$(pages punched) pages punched, $before before"
stop_nbdkit

start_nbdkit "$device" watermark=0 punch=true
at_most $((1 << 20))
test "$(load fill 0 4000 3)" -eq 4000
load verify 0 4000 3
load trim 0 3999 0
at_most $((1 << 20))
load verify 3999 1 3
stop_nbdkit
