#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A clone begins as what its snapshot holds; then neither sees what becomes of the other.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"
. "$abs_top_srcdir/tests/common/volumes.sh"

requires nbdkit --version
device d
format --create=32M --size=24M
put kmem0 1 0:1M
"$kmemblk" snapshot "$device" kmem0@a > "$tmp/out"
put kmem0 2 0:512k
status 0 "$kmemblk" clone "$device" kmem0@a copy
silent err
says out "^$device: made volume copy of kmem0@a$"
holds copy 1 0:1M
put copy 3 512k:512k
holds copy 1 0:512k
holds kmem0@a 1 0:1M
holds kmem0 2 0:512k
holds kmem0 1 512k:512k

test "$(views)" = 'kmem0 +kmem0@a copy' || fail "listed: $(views)"
status 0 "$kmemblk" list "$device"
says out '^copy +24.0 MiB +1.0 MiB +[0-9]+ KiB  clone of kmem0@a$'
status 0 "$kmemblk" list --json "$device"
json_is '[v["origin"] for v in j["volumes"]]' "[None, None, 'kmem0@a']"
json_is 'j["volumes"][2]["snapshot"]' False

# A clone has snapshots of its own, and clones of these.
status 0 "$kmemblk" snapshot "$device" copy@b
status 0 "$kmemblk" clone "$device" copy@b third
holds third 3 512k:512k
status 0 "$kmemblk" rename "$device" kmem0 disk
status 0 "$kmemblk" list "$device"
says out '^copy .* clone of disk@a$'
says out '^third .* clone of copy@b$'

status 8 "$kmemblk" clone "$device" disk@a copy
says err "^kmemblk: clone: $device: there is a volume copy already"
status 8 "$kmemblk" clone "$device" disk another
says err "^kmemblk: clone: $device: disk is no snapshot: those are VOLUME@SNAPSHOT"
status 8 "$kmemblk" clone "$device" disk@none another
says err "^kmemblk: clone: $device: there is no snapshot disk@none; there are: disk, disk@a"
status 8 "$kmemblk" clone "$device" disk@a x@y
says err "^kmemblk: clone: $device: \"x@y\" cannot be a name"
status 16 "$kmemblk" clone "$device" disk@a
says err "a name is missing after 'disk@a'"
# It stays while somebody has its pages.
status 8 "$kmemblk" delete "$device" disk@a
says err "^kmemblk: delete: $device: volume copy was made from disk@a: delete copy first"
check_device
