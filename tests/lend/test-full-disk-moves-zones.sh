#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# When the disk is written full while programs hold all that can be lent, the zones they use are
# moved to ordinary memory under them: every write succeeds, no store of the programs is lost, also
# with signals blocked or from system calls, and in the end the disk has the device for itself.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

requires command -v nbdcopy
lender 256M

mkfifo "$tmp/fifo" "$tmp/fifo2"
"${run[@]}" -- "$heap" store < "$tmp/fifo2" 2> "$tmp/store.err" &
store=$!
cleanup_fn end_process "$store"
exec 8> "$tmp/fifo2"
"${run[@]}" -- "$heap" signals < "$tmp/fifo" 2> "$tmp/signals.err" 8>&- &
signals=$!
cleanup_fn end_process "$signals"
exec 9> "$tmp/fifo"
has_zones() {
	test "$(lent)" -ge 40
}
eventually has_zones

size=$(nbdinfo --size "$uri")
head -c "$size" /dev/urandom > "$tmp/random"
nbdcopy "$tmp/random" "$uri" || fail "a write failed though all borrowers can give back"
nbdcopy "$uri" - | cmp - "$tmp/random" || fail "the disk holds something else"

exec 8>&- 9>&-
wait "$signals" || fail "heap signals: $(cat "$tmp/signals.err")"
wait "$store" || fail "heap store: $(cat "$tmp/store.err")"
eventually none_lent
