#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A server that cannot begin to serve is told by the command that starts it, also if it has gone to the
# background by then: the exit status is not 0, and the reason is on the terminal.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
"$kmemblk" format --create=16M "$device" > /dev/null
module=$modules/holder.so
export HOLDER=fails
lend=$tmp/lend

for option in --threads=16 -f; do
	expect_error 1 "error: allocator=$module: cannot start: " nbdkit $option \
		-U "$tmp/nbd" "$plugin" "$device" allocator="$module" lend="$lend"
	test ! -e "$lend" || fail "a start that failed has left its socket"
	rm -f "$tmp/nbd"
done
expect_error 1 "error: allocator=$module: cannot start: " nbdkit -U - "$plugin" "$device" \
	allocator="$module" --run 'sleep 1'
# The child ends without a word of ours: its pid file cannot be written.
expect_error 1 'the server ended before it served: to see why, start it with -f' nbdkit \
	-U "$tmp/nbd" -P /nonexistent/pid "$plugin" "$device" lend="$lend"
test ! -e "$lend" || fail "a start that failed has left its socket"
rm -f "$tmp/nbd"

# What ends before the fork is not waited for.
expect_error 1 'uses? an unknown|unknown parameter' nbdkit "$plugin" "$device" nonsense=1
expect_error 1 '/nonexistent' nbdkit -U "$tmp/nbd" "$plugin" /nonexistent

# And a start that succeeds answers 0, when the server serves.
pipes() {
	find "/proc/$pid/fd" -lname 'pipe:*' | wc -l
}
requires nbdinfo --version
nbdkit -U "$tmp/other" -P "$tmp/pid" null
await_daemon "$tmp/pid"
own=$(pipes)
others=$(ls -l "/proc/$pid/fd")
kill "$pid"
rm "$tmp/pid"
nbdkit -U "$tmp/nbd" -P "$tmp/pid" "$plugin" "$device"
await_daemon "$tmp/pid"
cleanup_fn kill -9 "$pid"
nbdinfo --size "nbd+unix:///?socket=$tmp/nbd" > /dev/null || fail "it does not serve"
# It keeps no end of the pipe to the command: it closes it when it has said the word, which the command does
# not wait for.
keeps_none() {
	test "$(pipes)" -eq "$own"
}
eventually keeps_none ||
	fail "nbdkit null has: $others; here: $(ls -l "/proc/$pid/fd")"
kill "$pid"
