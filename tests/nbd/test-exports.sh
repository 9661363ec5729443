#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each volume is an export of its name, listed and described; a name that there is not is refused with those
# there are; who names none gets volume=, the one that the format made, or the only one.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

requires nbdinfo --version
device disk
"$kmemblk" format --create=16M --size=4M --label=scratch "$device" > "$tmp/format.log"
uuid=$("$kmemblk" info "$device" | grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -1)

# is EXPORT SIZE: the export has this size.
is() {
	local got
	got=$(nbdinfo --size "nbd+unix:///$1?socket=$socket") || fail "no export '$1'"
	test "$got" = "$2" || fail "export '$1' has $got bytes instead of $2"
}

# refused EXPORT NAMES: there is no such export, and the server names those there are.
refused() {
	! nbdinfo --size "nbd+unix:///$1?socket=$socket" > "$tmp/out" 2>&1 || fail "there is an export '$1'"
	grep -q "there are: $2\$" "$tmp/nbdkit$servers.log" || fail "the names are not told: $(tail -3 "$tmp/nbdkit$servers.log")"
}

listed() {
	nbdinfo --list "$uri" | sed -n 's/^export="\(.*\)":$/\1/p' | paste -sd' '
}

start_nbdkit "$device"
test "$(listed)" = kmem0 || fail "listed: $(listed)"
description="kmemblk blk on tmpfs, label scratch, uuid $uuid"
nbdinfo --list "$uri" > "$tmp/list"
grep -qF "description: $description" "$tmp/list" || fail "no '$description': $(cat "$tmp/list")"
is '' $((4 << 20))
is kmem0 $((4 << 20))
refused anything kmem0
stop_nbdkit

"$kmemblk" create "$device" big --size=1T
"$kmemblk" create "$device" small --size=8K
start_nbdkit "$device"
test "$(listed)" = 'kmem0 big small' || fail "listed: $(listed)"
is '' $((4 << 20))
is big $((1 << 40))
is small 8192
# They share pages and nothing else, also where the largest begins and ends.
for export in kmem0 big small; do
	qemu-io -f raw -c "write -P $((${#export} * 16)) 0 8k" "nbd+unix:///$export?socket=$socket" > "$tmp/out"
done
qemu-io -f raw -c "write -P 7 $(((1 << 40) - 4096)) 4k" "nbd+unix:///big?socket=$socket" > "$tmp/out"
for export in kmem0 big small; do
	qemu-io -f raw -c "read -P $((${#export} * 16)) 0 8k" "nbd+unix:///$export?socket=$socket" > "$tmp/out"
	! grep -q 'verification failed' "$tmp/out" || fail "$export has another's bytes"
done
stop_nbdkit

start_nbdkit "$device" volume=small
is '' 8192
stop_nbdkit
! nbdkit -U - "$plugin" "$device" volume=none --run true 2> "$tmp/err" || fail "volume=none is served"
grep -q 'there is no volume none; there are: kmem0, big, small$' "$tmp/err" || fail "$(cat "$tmp/err")"

# The one that the format made, whatever its name; without it none is meant, unless there is but one.
"$kmemblk" rename "$device" kmem0 first
start_nbdkit "$device"
is '' $((4 << 20))
stop_nbdkit
"$kmemblk" delete "$device" first
start_nbdkit "$device"
refused '' 'big, small'
is big $((1 << 40))
stop_nbdkit
"$kmemblk" delete "$device" big
start_nbdkit "$device"
is '' 8192
stop_nbdkit
check_device
