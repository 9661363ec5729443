#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A program whose main thread ends by pthread_exit() lives as long as its other threads, and no longer: the
# threads that kmemblk run has added are not its own.  What it has written to standard output is written.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 64M
"${run[@]}" --strict -- "$heap" exit > "$tmp/out" || fail "heap exit: status $?"
test "$(cat "$tmp/out")" = 'the last thread' || fail "it said: $(cat "$tmp/out")"
eventually none_lent
