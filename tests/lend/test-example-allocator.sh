#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The example allocator, used by somebody in the server, holds offered pages while verified loads
# run, and gives them up when the disk fills; nothing changes under either.  By itself it can be
# loaded, too, and an empty disk is then lent on demand only.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
start_nbdkit -v "$device" create=128M allocator="$modules/pool-user.so" recall-timeout=3600
blocks=$(($(nbdinfo --size "$uri") / 4096))
lent_at_least $((blocks / 4))
clients=()
for i in 0 1 2 3; do
	load churn $((i * 1024)) 1024 1500 &
	clients+=($!)
done
rest=$((blocks - 4096))
got=$(load fill 4096 $rest 3)
for pid in "${clients[@]}"; do
	wait "$pid" || fail "a client failed: $(log | tail -n 5)"
done
test "$got" -eq $rest || fail "ENOSPC after $got of $rest blocks"
test "$(load fill 0 4096 2)" -eq 4096 || fail "ENOSPC in the last blocks"
load verify 0 4096 2
load verify 4096 $rest 3
test "$(pages lent)" -eq 0 || fail "$(pages lent) pages lent, and the disk is full"
load trim 0 16384 0
lent_at_least 4096
load verify 16384 $((blocks - 16384)) 3
stop_nbdkit
logged 'pool: held'
! logged 'pool: an object changed' || fail "the disk stored to lent memory"
check_device

start_nbdkit -v "$device" allocator="$abs_top_builddir/examples/.libs/allocator.so" punch=false recall-timeout=3600
load trim 0 "$blocks" 0
lent_at_least 1
test "$(load fill 0 "$blocks" 4)" -eq "$blocks" || fail "the example does not give back"
load verify 0 "$blocks" 4
stop_nbdkit
