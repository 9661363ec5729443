#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# While a program's heap grows past what is worth while to borrow for, its malloc is exchanged: nothing that
# it has is lost, and nothing that it does meanwhile goes wrong, forks of its threads included.  A program
# that is linked with jemalloc has that one, and all of it agrees.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

mallocs=$abs_top_builddir/tests/lend/mallocs
lender 128M

# borrows OPTION... -- WORD...: the program ends well, and has loans.
borrows() {
	"${run[@]}" "$@" > "$tmp/out" || fail "$*: $?"
	test "$(cat "$tmp/out")" -gt 0 || fail "$* has no loans"
	eventually none_lent
}

borrows -- "$mallocs" all
for ((i = 0; i < 5; i++)); do
	borrows -- "$mallocs" forks
done
borrows -- "$mallocs-jemalloc" all
borrows -- "$mallocs-jemalloc" forks
borrows -- "$mallocs-jemalloc" linked
borrows --strict -- "$mallocs-jemalloc" linked

# Whatever the user has set for jemalloc, all that it gives is in the heap.
borrows -- env MALLOC_CONF=hpa:true,narenas:9,percpu_arena:percpu,oversize_threshold:1048576 "$mallocs" all
borrows -- env MALLOC_CONF=background_thread:true,retain:true "$mallocs" forks
