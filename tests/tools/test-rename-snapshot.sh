#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A snapshot is renamed within its volume, and goes by its volume's new name.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"
. "$abs_top_srcdir/tests/common/volumes.sh"

requires nbdkit --version
device d
format --create=16M
"$kmemblk" create "$device" b --size=1M > "$tmp/out"
put kmem0 1 0:64k
"$kmemblk" snapshot "$device" kmem0@one b@one > "$tmp/out"
"$kmemblk" snapshot "$device" kmem0@two > "$tmp/out"
put kmem0 2 0:64k

status 0 "$kmemblk" rename "$device" kmem0@one kmem0@first
says out "^$device: kmem0@one is kmem0@first now$"
test "$(views)" = 'kmem0 +kmem0@first +kmem0@two b +b@one' || fail "listed: $(views)"
holds kmem0@first 1 0:64k

for name in one b@first other@first @first; do
	status 8 "$kmemblk" rename "$device" kmem0@first $name
	silent out
	says err "^kmemblk: rename: $device: kmem0@first is a snapshot, and stays with its volume: name it kmem0@NEW-NAME instead of $name$"
done
status 8 "$kmemblk" rename "$device" kmem0@first kmem0@two
says err "there is a snapshot kmem0@two already$"
status 8 "$kmemblk" rename "$device" kmem0@first kmem0@.x
says err 'cannot be a name'
status 8 "$kmemblk" rename "$device" b kmem0@x
says err 'cannot be a name'
status 8 "$kmemblk" rename "$device" kmem0@none kmem0@x
says err 'there is no snapshot kmem0@none; there are: kmem0'

status 0 "$kmemblk" rename "$device" kmem0 disk
test "$(views)" = 'disk +disk@first +disk@two b +b@one' || fail "listed: $(views)"
holds disk@first 1 0:64k
holds disk 2 0:64k
check_device
