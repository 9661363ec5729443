#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A server that lends, and of which nobody wants anything, sleeps: before the first loan, while one lasts,
# and when it has come back.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

# Of the ticks, hundredths, of two seconds.  A server that spins on a busy machine gets fewer than it could,
# but hardly so few.
rests() {
	local before after
	before=$(awk '{ print $14 + $15 }' "/proc/$server/stat")
	sleep 2
	after=$(awk '{ print $14 + $15 }' "/proc/$server/stat")
	test $((after - before)) -le 20 || fail "$1: $((after - before)) of 200 ticks"
}

# borrower WORD...: of borrower.c; its input is descriptor 9.
borrower() {
	"$abs_top_builddir/tests/lend/borrower" "$@" < "$tmp/fifo" > "$tmp/out" &
	pid=$!
	cleanup_fn end_process "$pid"
	exec 9> "$tmp/fifo"
	eventually grep -q ready "$tmp/out"
}

# It ends, and the server has nothing to do any more.
borrower_ends() {
	exec 9>&-
	wait "$pid" || fail "borrower"
	eventually none_lent
	rests 'the borrower has ended'
}

lender 256M
mkfifo "$tmp/fifo"
rests 'nothing is lent'

borrower hold "$lend" 4
rests 'zones are lent'
borrower_ends

borrower returned "$lend" 4
echo >&9
eventually none_lent
rests 'all are back'
borrower_ends
