#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A server that is started again, after SIGKILL or SIGTERM, knows by whom its loans are: each of sixteen
# borrowers is asked when the disk fills, all that they can do without comes back, what programs use stays
# theirs, overwrites never fail, and new blocks get ENOSPC at once when nobody has any more to give.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

requires command -v nbdcopy
requires command -v qemu-io
borrower=$abs_top_builddir/tests/lend/borrower
lender 512M lend-mode=0600

zones() {
	"$kmemblk" stat --json "$lend" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["zones"][sys.argv[1]])' "$1"
}

# Twelve who give back, and four programs that do not.
mkfifo "$tmp/fifo" "$tmp/fifo2"
holders=()
for i in {1..12}; do
	"$borrower" hold "$lend" 5 < "$tmp/fifo2" > "$tmp/holder$i" 2>&1 &
	holders+=($!)
	cleanup_fn end_process $!
done
programs=()
for i in {1..4}; do
	"${run[@]}" --strict --limit=40M -- "$heap" take 30 < "$tmp/fifo" > "$tmp/program$i" 2>&1 &
	programs+=($!)
	cleanup_fn end_process $!
done
exec 8> "$tmp/fifo2" 9> "$tmp/fifo"
for i in {1..12}; do
	eventually grep -q ready "$tmp/holder$i"
done
for i in {1..4}; do
	eventually test -s "$tmp/program$i"
done
used=$(($(zones lent) - 60))

all_owned() {
	test "$(zones unowned)" -eq 0 && test "$(zones lent)" -eq "$1"
}

for signal in KILL TERM; do
	end_process "$server" $signal
	start_nbdkit "$device" lend="$lend" recall-timeout=3600 8>&- 9>&-
	eventually test -S "$lend"
	eventually all_owned $((used + 60))
done

size=$(nbdinfo --size "$uri")
head -c "$size" /dev/urandom > "$tmp/random"
! nbdcopy "$tmp/random" "$uri" 2> "$tmp/err" || fail "the disk has pages that programs use"
grep -q 'No space left on device' "$tmp/err" || fail "$(cat "$tmp/err")"
all_owned "$used" || fail "$(zones lent) lent, not $used"
qemu-io -f raw -c 'write -P 7 0 4M' -c 'read -P 7 0 4M' "$uri" > "$tmp/out" ||
	fail "overwriting: $(cat "$tmp/out")"
exec 8>&-
for i in {1..12}; do
	wait "${holders[i - 1]}" || fail "holder $i: $(cat "$tmp/holder$i")"
	tail -n 1 "$tmp/holder$i" | grep -qE '^[1-9][0-9]* 0$' || fail "not asked: $(cat "$tmp/holder$i")"
done

exec 9>&-
for i in {1..4}; do
	wait "${programs[i - 1]}" || fail "program $i: $(cat "$tmp/program$i")"
done
eventually none_lent
nbdcopy "$tmp/random" "$uri" || fail "a write failed with nothing lent"
nbdcopy "$uri" - | cmp - "$tmp/random" || fail "the disk holds something else"
