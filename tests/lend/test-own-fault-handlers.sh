#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A program's own handlers of SIGSEGV, and the default action, are as without kmemblk; a store past
# the last zone faults.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 256M
"${run[@]}" -- "$heap" faults || fail "heap faults"
status=0
(ulimit -c 0; "${run[@]}" -- "$heap" stray) 2> "$tmp/err" || status=$?
test "$status" -eq 139 || fail "a stray store: status $status: $(cat "$tmp/err")"
eventually none_lent
