#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Who borrows has nothing of the device: neither a descriptor nor a mapping of it, but of files beside it;
# and a program under kmemblk run has no descriptor that it would not have without.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

borrower=$abs_top_builddir/tests/lend/borrower
lender 64M

# start PROGRAM [ARGUMENT...]: runs it until end_program, and waits for what it prints; sets $pid.
start() {
	rm -f "$tmp/fifo" "$tmp/out"
	mkfifo "$tmp/fifo"
	"$@" < "$tmp/fifo" > "$tmp/out" &
	pid=$!
	cleanup_fn end_process "$pid"
	exec 9> "$tmp/fifo"
	eventually test -s "$tmp/out"
}

end_program() {
	exec 9>&-
	wait "$pid" || fail "the program failed"
}

# has_no_device PID WHAT: by name and by inode, of each of its threads; and it has loans.
has_no_device() {
	local inode fd name
	inode=$(stat -c %i "$device")
	for fd in "/proc/$1/task"/*/fd/*; do
		name=$(readlink "$fd")
		case $name in
		"$device.loans/"*) ;;
		"$device"*) fail "$2 has a descriptor of $name" ;;
		esac
		test "$(stat -L -c %i "$fd")" != "$inode" ||
			test "$(stat -L -c %d "$fd")" != "$(stat -c %d "$device")" ||
			fail "$2 has a descriptor of the device, $name"
	done
	cat "/proc/$1/maps" > "$tmp/maps"
	awk -v device="$device" -v inode="$inode" '
		index($6, device) == 1 && index($6, device ".loans/") != 1 { print; found = 1 }
		index($6, "/dev/shm/") == 1 && $5 == inode { print; found = 1 }
		END { exit found }' "$tmp/maps" || fail "$2 has a mapping of the device"
	grep -qF " $device.loans/" "$tmp/maps" || fail "$2 has no loan"
}

# What is sent to a borrower has no other way to the device, either.
start "$borrower" hold "$lend" 5
has_no_device "$pid" "a borrower"
end_program
eventually none_lent

descriptors() {
	find "/proc/$1/fd" -mindepth 1 -printf '%f\n' | sort -n
}

start "$heap" take 20
descriptors "$pid" > "$tmp/without"
end_program
test -s "$tmp/without" || fail "a program has no descriptors"

start "${run[@]}" --strict -- "$heap" take 20
has_no_device "$pid" "a program"
descriptors "$pid" > "$tmp/with"
diff "$tmp/without" "$tmp/with" || fail "a program has other descriptors under kmemblk run"
end_program
eventually none_lent

# Nor does a child, which has the heap.
start "${run[@]}" --strict -- env PYTHONMALLOC=malloc python3 -c '
import os, sys
heap = bytearray(b"x") * (20 << 20)
child = os.fork()
if child == 0:
    child = os.getpid()
    print(child, flush=True)
    sys.stdin.read()
    os._exit(0)
os.waitpid(child, 0)'
has_no_device "$(cat "$tmp/out")" "a child"
has_no_device "$pid" "its parent"
descriptors "$(cat "$tmp/out")" > "$tmp/with"
diff "$tmp/without" "$tmp/with" || fail "a child has other descriptors under kmemblk run"
end_program
eventually none_lent
