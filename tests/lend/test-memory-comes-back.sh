#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# After everything is trimmed, a disk on tmpfs gives its memory back to the kernel, each time.  What
# was not trimmed stays.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
start_nbdkit "$device" create=1G
limit=$(((1 << 30) * 2 / 100))
for try in 1 2 3; do
	test "$(load fill 0 131072 $try)" -eq 131072 || fail "512 MiB of 1 GiB have room"
	test "$(storage)" -ge $((512 << 20)) || fail "512 MiB are written and $(storage) stored"
	load trim 0 131072 0
	at_most $limit
done
load verify 0 131072 0

# Half of it: the other half is as it was.
test "$(load fill 0 20000 7)" -eq 20000
load trim 0 10000 0
at_most $((limit + 10000 * 4096))
load verify 10000 10000 7
stop_nbdkit
check_device
