#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# When the disk is written full while a program holds what can be lent, and uses it, the program keeps it: the
# writes that would need it get ENOSPC, at once, those that overwrite succeed, and no store of the program is
# lost, by whichever thread or system call.  When it ends, the disk has the device for itself.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

requires command -v nbdcopy
requires command -v qemu-io
lender 160M

mkfifo "$tmp/fifo"
"${run[@]}" --strict -- "$heap" store < "$tmp/fifo" 2> "$tmp/store.err" &
store=$!
cleanup_fn end_process "$store"
exec 9> "$tmp/fifo"
has_zones() {
	test "$(lent)" -ge 40
}
eventually has_zones

size=$(nbdinfo --size "$uri")
head -c "$size" /dev/urandom > "$tmp/random"
! nbdcopy "$tmp/random" "$uri" 2> "$tmp/err" || fail "the disk has pages that are lent"
grep -q 'No space left on device' "$tmp/err" || fail "$(cat "$tmp/err")"
has_zones || fail "zones were taken from under a program"
qemu-io -f raw -c 'write -P 7 0 1M' -c 'read -P 7 0 1M' "$uri" > "$tmp/out" ||
	fail "overwriting: $(cat "$tmp/out")"

exec 9>&-
wait "$store" || fail "heap store: $(cat "$tmp/store.err")"
eventually none_lent
nbdcopy "$tmp/random" "$uri" || fail "a write failed with nothing lent"
nbdcopy "$uri" - | cmp - "$tmp/random" || fail "the disk holds something else"
