#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# delete takes a snapshot without changing anything else; a volume that has snapshots only with --recursive, and then
# all or nothing.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"
. "$abs_top_srcdir/tests/common/volumes.sh"

requires nbdkit --version
device d
format --create=32M --size=16M
"$kmemblk" create "$device" b --size=1G > "$tmp/out"
used=$(field pages_used)
tables=$(field pages_tables)
for i in 1 2 3; do
	put b $i 0:512k ${i}M:64k
	"$kmemblk" snapshot "$device" b@$i > "$tmp/out"
done
put b 4 0:64k
"$kmemblk" clone "$device" b@2 c > "$tmp/out"

status 8 "$kmemblk" delete "$device" b
silent out
says err "^kmemblk: delete: $device: volume b has snapshots: 3, 2, 1; to delete them and it, add --recursive$"
status 8 "$kmemblk" delete --recursive "$device" b
says err "^kmemblk: delete: $device: volume c was made from b@2: delete c first$"
test "$(views)" = 'kmem0 b +b@1 +b@2 +b@3 c' || fail "listed: $(views)"

# One in the midst, and the youngest.
"$kmemblk" delete "$device" c > "$tmp/out"
status 0 "$kmemblk" delete "$device" b@2
says out "^$device: deleted b@2$"
status 0 "$kmemblk" delete --recursive "$device" b@3
test "$(views)" = 'kmem0 b +b@1' || fail "listed: $(views)"
holds b@1 1 0:512k 1M:64k
holds b@1 0 2M:64k
holds b 4 0:64k
holds b 3 64k:448k 3M:64k

"$kmemblk" snapshot "$device" b@last > "$tmp/out"
status 0 "$kmemblk" delete --recursive "$device" b
silent err
says out "^$device: deleted b and its 2 snapshots$"
test "$(views)" = kmem0 || fail "listed: $(views)"
test "$(field pages_used)" = "$used" || fail "blocks are left: $(field pages_used)"
test "$(field pages_tables)" -eq $((tables - 1)) || fail "tables are left: $(field pages_tables)"
test "$(field pages_reserved)" -eq 0 || fail "reserved: $(field pages_reserved)"
check_device
