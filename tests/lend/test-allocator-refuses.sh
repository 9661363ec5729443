#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A module that gives nothing back: new blocks get ENOSPC, but not before it was asked; what has its
# page can be overwritten, always, also while many do; nothing of the module's is stored to.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
export HOLDER=refuses
start_nbdkit -v "$device" create=64M allocator="$modules/holder.so" headroom=8M
blocks=$(($(nbdinfo --size "$uri") / 4096))
got=$(load fill 0 "$blocks" 1)
test "$got" -lt $((blocks / 2)) || fail "$got blocks of $blocks written, and nothing given back"
# The headroom is for new blocks.
test "$got" -ge 2000 || fail "only $got blocks, of a headroom of 2048"
logged 'holder: asked' || fail "ENOSPC, and nobody asked"
for version in 2 3 4 5; do
	test "$(load fill 0 "$got" $version)" -eq "$got" || fail "an overwrite got ENOSPC"
	load verify 0 "$got" $version
done
load verify "$got" $((blocks - got)) 0
# What is trimmed is there for others.
load trim 0 1000 0
test "$(load fill "$got" 200 6)" -eq 200 || fail "no page for a new block after a trim"
kill -0 "$server" || fail "the server is gone"
load verify 1000 $((got - 1000)) 5
stop_nbdkit
! logged 'holder: memory' || fail "the module saw something wrong"
check_device
