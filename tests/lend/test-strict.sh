#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# When no more can be borrowed, a program gets ordinary memory; with --strict its malloc fails.
# --limit is kept in both cases.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 64M

# take RUN-OPTION...: heap takes 200 MiB; sets $got, and $zones and $anonymous in KiB.
take() {
	rm -f "$tmp/fifo" "$tmp/out"
	mkfifo "$tmp/fifo"
	"${run[@]}" "$@" -- "$heap" take 200 < "$tmp/fifo" > "$tmp/out" &
	local pid=$!
	cleanup_fn end_process "$pid"
	exec 9> "$tmp/fifo"
	eventually test -s "$tmp/out"
	got=$(cat "$tmp/out")
	read -r zones anonymous < <(on_device "$pid")
	exec 9>&-
	wait "$pid" || fail "heap take"
	eventually none_lent
}

take
test "$got" -eq 200 || fail "only $got MiB"
test "$zones" -gt $((20 * 1024)) || fail "only $zones KiB on zones"
test $((zones + anonymous)) -ge $((200 * 1024)) || fail "only $zones + $anonymous KiB"

take --strict
test "$got" -gt 20 || fail "only $got MiB with --strict"
test "$got" -lt 64 || fail "$got MiB of a device of 64 MiB with --strict"
test "$anonymous" -lt 8192 || fail "$anonymous KiB of ordinary memory with --strict"

take --limit=8M
test "$got" -eq 200 || fail "only $got MiB with --limit"
test "$zones" -gt 0 || fail "nothing on zones with --limit=8M"
test "$zones" -le 8192 || fail "$zones KiB on zones with --limit=8M"

take --strict --limit=8M
test "$got" -lt 8 || fail "$got MiB with --strict --limit=8M"
