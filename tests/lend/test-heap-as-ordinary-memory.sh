#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# To the calls that change memory, threads or what a process may do, a borrowed heap is as ordinary memory:
# advice, protection and locks are kept across a fork, a program may have a user namespace or a filter of
# system calls, and children made by syscall(2) have the heap and no stores in their parent's.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

advise=$abs_top_builddir/tests/lend/advise
lender 128M

for what in memory locked namespace filter prctl fork clone; do
	# What fails without kmemblk run, for want of a right, says nothing of it.
	"$advise" "$what" > "$tmp/without" 2> "$tmp/err" || {
		echo "$what does not work here: $(cat "$tmp/err")"
		continue
	}
	"${run[@]}" --strict -- "$advise" "$what" > "$tmp/with" || fail "advise $what"
	diff "$tmp/without" "$tmp/with" || fail "advise $what ends otherwise under kmemblk run"
	eventually none_lent
done
