#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the shell tests share ends processes of the test, as often as it is told to, and no others: the
# number of one that has ended may be another's by then.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

sleep 1000000 &
own=$!
is_running $own || fail "a process of the test does not count as one"
end_process $own
! is_running $own || fail "it has ended, and counts as running"
end_process $own

# One that is stopped is ended, too.
sleep 1000000 &
own=$!
kill -STOP $own
end_process $own KILL
! kill -0 $own 2> /dev/null || fail "a stopped process was not ended"

# No child of this shell, as a number that is in use again is none.  A signal would reach it before
# what it is sent to read does.
trap '' PIPE
mkfifo "$tmp/in" "$tmp/out"
(
	trap - PIPE
	cat < "$tmp/in" > "$tmp/out" &
	echo $! > "$tmp/other"
)
exec 8> "$tmp/in" 9< "$tmp/out"
end_process "$(cat "$tmp/other")"
echo alive >&8 || true
read -r answer <&9 || fail "another's process was ended"
test "$answer" = alive
