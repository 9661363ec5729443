#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A thin volume takes a snapshot for which there are too few pages, and gets ENOSPC where it overwrites what that has;
# create, snapshot, clone and kmemblk thin make a volume thin, list shows it, and --off ends it or is refused.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"
. "$abs_top_srcdir/tests/common/volumes.sh"

requires nbdkit --version
device d
format --create=32M --size=24M
put kmem0 1 0:20M

# thin_ones: their names, as listed.
thin_ones() {
	"$kmemblk" list --json "$device" |
		python3 -c 'import json, sys; print(*[v["name"] for v in json.load(sys.stdin)["volumes"] if v["thin"]])'
}

status 8 "$kmemblk" snapshot "$device" kmem0@a
silent out
says err "^kmemblk: snapshot: $device: so that all of it can be overwritten 5131 pages must be reserved, and [0-9]+ are left: .*, or add --thin: "
test -z "$(thin_ones)" || fail "thin: $(thin_ones)"
status 0 "$kmemblk" snapshot --thin "$device" kmem0@a
silent err
says out "^$device: made snapshot kmem0@a$"
test "$(thin_ones)" = kmem0 || fail "thin: $(thin_ones)"
status 0 "$kmemblk" list "$device"
says out '^kmem0 +24.0 MiB +20.0 MiB +0 KiB  default  thin$'
says out '^  kmem0@a +24.0 MiB +20.0 MiB +20.0 MiB  made '

# The rest of the pages, and no more; what was overwritten can be again.
start_nbdkit "$device"
uri="nbd+unix:///kmem0?socket=$socket"
must 'write -P 2 0 4k'
qemu_io 'write -P 3 4k 16M' > "$tmp/write.log" || true
grep -q 'No space left' "$tmp/write.log" || fail "not full: $(cat "$tmp/write.log")"
must 'write -P 4 0 4k'
must 'discard 8M 8M' 'write -z -u 16M 4M'
# nbdinfo is not everywhere; the description is what nbdkit was given.
if nbdinfo --version > "$tmp/out" 2>&1; then
	nbdinfo "$uri" > "$tmp/out"
	grep -qE 'description: kmemblk blk on tmpfs, uuid [0-9a-f-]+, thin$' "$tmp/out" || fail "$(cat "$tmp/out")"
fi
stop_nbdkit
holds kmem0 4 0:4k
holds kmem0 0 8M:12M
holds kmem0@a 1 0:20M
check_device

# Made thin, and not thin any more.
status 0 "$kmemblk" create --thin "$device" b --size=1G
status 0 "$kmemblk" clone --thin "$device" kmem0@a c
status 8 "$kmemblk" clone "$device" kmem0@a d
says err ' 5131 pages must be reserved, and [0-9]+ are left: .*, or add --thin: '
test "$(thin_ones)" = 'kmem0 b c' || fail "thin: $(thin_ones)"
status 8 "$kmemblk" thin --off "$device" c
silent out
says err "^kmemblk: thin: $device: so that all of it can be overwritten 5120 pages must be reserved, and [0-9]+ are left: "
status 0 "$kmemblk" thin --off "$device" b
silent err
says out "^$device: b is not thin now: all of it can be overwritten$"
test "$(thin_ones)" = 'kmem0 c' || fail "thin: $(thin_ones)"
status 0 "$kmemblk" delete "$device" c
status 0 "$kmemblk" delete "$device" kmem0@a
status 0 "$kmemblk" thin --off "$device" kmem0
status 0 "$kmemblk" thin "$device" b
says out "^$device: b is thin now: an overwrite of what a snapshot has may find no page$"
test "$(thin_ones)" = b || fail "thin: $(thin_ones)"

status 8 "$kmemblk" thin "$device" none
says err "^kmemblk: thin: $device: there is no volume none; there are: kmem0, b$"
status 0 "$kmemblk" snapshot "$device" b@s
status 8 "$kmemblk" thin "$device" b@s
says err "^kmemblk: thin: $device: b@s is a snapshot: "
status 16 "$kmemblk" thin "$device"
says err "a name is missing after '$device'"
check_device
