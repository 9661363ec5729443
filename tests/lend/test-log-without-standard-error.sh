#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A program that writes to a closed descriptor all the time, as daemons do by mistake, does not write to
# the disk from which it borrows, though zones come to it by descriptors that get the lowest free number.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 256M
for ((i = 0; i < 5; i++)); do
	"${run[@]}" --strict -- "$heap" log 100 || fail "heap log"
done
eventually none_lent
stop_nbdkit
"$abs_top_builddir/tools/kmemblk" check "$device" || fail "the disk is damaged"
if grep -q 'a line of the log' "$device"; then
	fail "the log is on the device"
fi
