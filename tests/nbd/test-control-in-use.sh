#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# While a server has clients, its volumes are made, snapshot, renamed and grown; what has clients is neither deleted,
# shrunk nor rolled back.  Who connects afterwards sees what was changed.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

requires nbdinfo --version
test -z "${asan_library:-}" || skip "a server with AddressSanitizer reads no JSON: tests/functions.sh"
device disk
"$kmemblk" format --create=64M --size=16M "$device" > "$tmp/out"
start_nbdkit "$device"

uri_of() {
	echo "nbd+unix:///$1?socket=$socket"
}
change() {
	"$kmemblk" "$1" "$device" "${@:2}" > "$tmp/out"
}
refuse() {
	expect_error 8 "^kmemblk: $1" "$kmemblk" "$2" "$device" "${@:3}"
}

# A client of the default volume that stays connected until it is told to do more.
change snapshot kmem0@before
mkfifo "$tmp/orders"
qemu-io -f raw "$(uri_of kmem0)" < "$tmp/orders" > "$tmp/client.log" 2>&1 &
client=$!
cleanup_fn end_process $client
exec 7> "$tmp/orders"
order() {
	local before
	before=$(grep -cE '^(qemu-io> )*(read|wrote) ([0-9]+)/\3 bytes' "$tmp/client.log" || true)
	echo "$1" >&7
	done_it() { test "$(grep -cE '(read|wrote) ([0-9]+)/\2 bytes' "$tmp/client.log")" -gt "$before"; }
	eventually done_it
}
order 'write -P 1 0 1M'

refuse "rollback: $device: .*kmem0" rollback kmem0@before
refuse "resize: $device: .*kmem0" resize kmem0 --size=8M
refuse "delete: $device: .*kmem0" delete --recursive kmem0
"$kmemblk" list "$device" > "$tmp/out"
test "$(sed '1d; s/^ *//; s/ .*//' "$tmp/out" | paste -sd' ')" = 'kmem0 kmem0@before' || fail "$(cat "$tmp/out")"

# What it may not see, and what it may.
change snapshot kmem0@one
order 'write -P 2 0 1M'
change create vm1 --size=1G
change clone kmem0@one copy
change resize kmem0 --size=24M
change rename kmem0 disk
change delete disk@before
order 'write -P 3 512k 512k'
order 'read -P 2 0 512k'

test "$(nbdinfo --size "$(uri_of disk)")" = $((24 << 20)) || fail "it has not grown"
test "$(nbdinfo --size "$(uri_of vm1)")" = $((1 << 30)) || fail "vm1 is not served"
! nbdinfo --size "$(uri_of kmem0)" > "$tmp/out" 2>&1 || fail "the old name is still served"
uri=$(uri_of disk@one)
qemu-io -r -f raw -c 'read -P 1 0 1M' "$uri" > "$tmp/out" 2>&1
! grep -qiE 'fail|error' "$tmp/out" || fail "the snapshot: $(cat "$tmp/out")"
uri=$(uri_of copy)
must 'read -P 1 0 1M' 'write -P 9 0 1M'

# The client has gone.
exec 7>&-
wait $client
free() { "$kmemblk" rollback "$device" disk@one; }
eventually free
uri=$(uri_of disk)
must 'read -P 1 0 1M'
test "$(nbdinfo --size "$uri")" = $((16 << 20)) || fail "it has not become what it was"
shrinks() { "$kmemblk" resize "$device" disk --size=8M; }
eventually shrinks
change delete copy
change delete --recursive disk
"$kmemblk" list "$device" > "$tmp/out"
test "$(sed '1d; s/^ *//; s/ .*//' "$tmp/out" | paste -sd' ')" = vm1 || fail "$(cat "$tmp/out")"
stop_nbdkit
check_device
