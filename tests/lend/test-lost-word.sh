#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# More zones are returned than a server that has stopped can be told of: when it goes on it finds out by itself
# that they are not mapped any more, while their borrower lives.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

# A socket takes fewer packets, whatever its buffer is by default.
zones=480
lender 1100M
mkfifo "$tmp/fifo"
"$abs_top_builddir/tests/lend/borrower" returned "$lend" $zones < "$tmp/fifo" > "$tmp/out" &
pid=$!
cleanup_fn end_process "$pid"
exec 9> "$tmp/fifo"
eventually grep -q ready "$tmp/out"
test "$(lent)" -eq $zones || fail "$(lent) of $zones are lent"

kill -STOP "$server"
cleanup_fn kill -CONT "$server"
echo >&9
returned() { test "$(grep -c ready "$tmp/out")" -eq 2; }
eventually returned
kill -CONT "$server"
eventually none_lent

exec 9>&-
wait "$pid" || fail "borrower returned"
