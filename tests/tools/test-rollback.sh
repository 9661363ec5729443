#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# rollback makes a volume again what it was, its size included; younger snapshots are lost by --force only.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"
. "$abs_top_srcdir/tests/common/volumes.sh"

requires nbdkit --version
device d
format --create=32M --size=8M
put kmem0 1 0:1M
"$kmemblk" snapshot "$device" kmem0@a > "$tmp/out"
"$kmemblk" resize "$device" kmem0 --size=16M > "$tmp/out"
put kmem0 2 0:64k 12M:64k
"$kmemblk" snapshot "$device" kmem0@b > "$tmp/out"
put kmem0 3 0:64k

status 0 "$kmemblk" rollback "$device" kmem0@b
silent err
says out "^$device: kmem0 is again what kmem0@b holds$"
holds kmem0 2 0:64k 12M:64k
test "$(views)" = 'kmem0 +kmem0@a +kmem0@b' || fail "listed: $(views)"

put kmem0 4 0:64k
status 8 "$kmemblk" rollback "$device" kmem0@a
silent out
says err "^kmemblk: rollback: $device: volume kmem0 has younger snapshots: b; to lose them, add --force$"
holds kmem0 4 0:64k
status 8 "$kmemblk" rollback "$device" kmem0
says err 'kmem0 is no snapshot'
"$kmemblk" clone "$device" kmem0@b c > /dev/null
status 8 "$kmemblk" rollback --force "$device" kmem0@a
says err "^kmemblk: rollback: $device: volume c was made from kmem0@b: delete c first$"
"$kmemblk" delete "$device" c > /dev/null
status 8 "$kmemblk" rollback "$device" kmem0@none
says err 'there is no snapshot kmem0@none'
test "$(views)" = 'kmem0 +kmem0@a +kmem0@b' || fail "listed: $(views)"

status 0 "$kmemblk" rollback --force "$device" kmem0@a
test "$(views)" = 'kmem0 +kmem0@a' || fail "listed: $(views)"
holds kmem0 1 0:1M
holds kmem0 0 1M:7M
status 0 "$kmemblk" list --json "$device"
json_is 'j["volumes"][0]["size_bytes"]' $((8 << 20))
json_is 'j["volumes"][0]["pages_owned"]' 0
put kmem0 5 0:64k
holds kmem0@a 1 0:64k
check_device
