# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154
#
# A module that has all that the disk can do without, and gives back what it is asked for, in the
# manner that $HOLDER says: no write fails, though the disk is filled; no block and none of the
# module's memory changes.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
# One that gives back late may take its time: so may the writes.
start_nbdkit -v "$device" create=128M allocator="$modules/holder.so" recall-timeout=3600
blocks=$(($(nbdinfo --size "$uri") / 4096))
first=$(pages lent)
test "$first" -gt $((blocks / 2)) || fail "only $first pages lent of $blocks"
# Four clients churn a quarter of the disk, while a fifth fills the rest.
clients=()
for i in 0 1 2 3; do
	load churn $((i * 2048)) 2048 1500 &
	clients+=($!)
done
rest=$((blocks - 8192))
got=$(load fill 8192 $rest 9)
for pid in "${clients[@]}"; do
	wait "$pid" || fail "a client failed: $(log | tail -n 5)"
done
test "$got" -eq $rest || fail "ENOSPC after $got of $rest blocks, though all is given back"
test "$(load fill 0 8192 8)" -eq 8192 || fail "ENOSPC though all is given back"
logged 'holder: asked' || fail "nobody asked"
load verify 0 8192 8
load verify 8192 $rest 9
test "$(pages returned)" -ge $((first / 2)) || fail "returned is not counted"
# What is trimmed comes to the module again.
load trim 0 8192 0
lent_at_least 3000
load verify 8192 $rest 9
stop_nbdkit
! logged 'holder: (memory|return|borrow:)' || fail "the module saw something wrong"
logged 'holder: held [1-9]' || fail "stop was not called"
check_device
