#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The borrower's calls: zones are zeroed, aligned, where they are wanted, returned one by one, and
# given back when the disk wants them, and are not lost where they cannot be mapped; they outlive the program's descriptors and the server.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

requires command -v nbdcopy
borrower=$abs_top_builddir/tests/lend/borrower
lender 512M

"$borrower" zones "$lend" || fail "borrower zones"
eventually none_lent
"$borrower" closed "$lend" || fail "borrower closed"
eventually none_lent
expect_error 1 "borrow: /nonexistent: no lending server" "$borrower" zones /nonexistent

all_owned() {
	"$kmemblk" stat --json "$lend" | python3 -c 'import json, sys
status = json.load(sys.stdin)
sys.exit(status["zones"]["unowned"] != 0 or not status["borrowers"])'
}

start_borrower() {
	rm -f "$tmp/fifo" "$tmp/out"
	mkfifo "$tmp/fifo"
	"$borrower" "$@" < "$tmp/fifo" > "$tmp/out" &
	pid=$!
	cleanup_fn end_process "$pid"
	exec 9> "$tmp/fifo"
	eventually grep -q ready "$tmp/out"
}
start_borrower unmapped "$lend"
eventually none_lent
exec 9>&-
wait "$pid" || fail "borrower unmapped"

# The disk is written full: what it needs comes back.
start_borrower hold "$lend" 150
held=$(lent)
test "$held" -eq 150 || fail "$held zones lent instead of 150"
# Also by a server that was started after they had been lent.
end_process "$server"
start_nbdkit "$device" lend="$lend" recall-timeout=3600 9>&-
eventually all_owned
test "$(lent)" -eq 150 || fail "$(lent) zones lent after a restart"
nbdinfo --size "$uri" > "$tmp/size"
head -c "$(cat "$tmp/size")" /dev/zero | tr '\0' x > "$tmp/image"
nbdcopy "$tmp/image" "$uri" || fail "a write failed though the borrower gives back"
exec 9>&-
wait "$pid" || fail "borrower hold"
read -r asked left < <(tail -1 "$tmp/out")
test "$asked" -gt 0 || fail "nothing was asked back"
test "$left" -lt 150 || fail "nothing was given back"

# The server ends and comes again.
stop_nbdkit
rm -f "$device"
lender 64M
start_borrower away "$lend"
stop_nbdkit
two_ready() {
	test "$(grep -c ready "$tmp/out")" -ge "$1"
}
eventually two_ready 2
# Not with the pipe that says the end to the borrower.
start_nbdkit "$device" lend="$lend" recall-timeout=3600 9>&-
eventually test -S "$lend"
test "$(lent)" -ge 1 || fail "a zone that is mapped is not lent after a restart"
echo >&9
eventually two_ready 3
exec 9>&-
wait "$pid" || fail "borrower away"
eventually none_lent

# A fault in the program's callback reaches the program's handler.
start_borrower fault "$lend"
nbdinfo --size "$uri" > "$tmp/size"
(head -c "$(cat "$tmp/size")" "$tmp/image" > "$tmp/small") 9>&-
nbdcopy "$tmp/small" "$uri" 9>&- > "$tmp/nbdcopy.log" 2>&1 || true
exec 9>&-
status=0
wait "$pid" || status=$?
test "$status" -eq 42 || fail "status $status instead of the handler's 42"
