#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A snapshot holds what its volume held, is listed below it, and reserves what overwrites need; what there is no room
# for, and what cannot be, is refused with what to do.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"
. "$abs_top_srcdir/tests/common/volumes.sh"

requires nbdkit --version
device d
format --create=32M --size=24M
"$kmemblk" create "$device" logs --size=1G > "$tmp/out"
put kmem0 1 0:2M
put logs 2 0:1M

status 0 "$kmemblk" snapshot "$device" kmem0@monday
silent err
says out "^$device: made snapshot kmem0@monday$"
command=$(sed -n 's/^To go back to it:  //p' "$tmp/out")
test "$command" = "kmemblk rollback $device kmem0@monday" || fail "proposes: $command"
put kmem0 3 0:1M 10M:1M
status 0 "$kmemblk" snapshot "$device" logs@tuesday kmem0@tuesday
says out "^$device: made snapshots logs@tuesday, kmem0@tuesday, of one instant$"
put kmem0 4 0:4k
holds kmem0@monday 1 0:2M
holds kmem0@monday 0 10M:1M
holds kmem0@tuesday 3 0:1M 10M:1M
holds kmem0@tuesday 1 1M:1M
holds logs@tuesday 2 0:1M
holds kmem0 4 0:4k
holds kmem0 3 4k:1020k

# Listed: each below its volume, the oldest first.
test "$(views)" = 'kmem0 +kmem0@monday +kmem0@tuesday logs +logs@tuesday' || fail "listed: $(views)"
status 0 "$kmemblk" list "$device"
says out '^volume +size +used +own$'
says out '^kmem0 +24.0 MiB +3.0 MiB +12 KiB  default$'
says out '^  kmem0@monday +24.0 MiB +2.0 MiB +2.0 MiB  made 20[0-9-]+ [0-9:]+ UTC$'
says out '^  kmem0@tuesday +24.0 MiB +3.0 MiB +2.0 MiB  made '
status 0 "$kmemblk" list --json "$device"
json_is '[v["name"] for v in j["volumes"]]' "['kmem0', 'kmem0@monday', 'kmem0@tuesday', 'logs', 'logs@tuesday']"
json_is '[v["snapshot"] for v in j["volumes"]]' '[False, True, True, False, True]'
json_is '[v["pages_used"] for v in j["volumes"]]' '[768, 512, 768, 256, 256]'
# Blocks, and the leaves and the table above that find them.
json_is '[v["pages_owned"] for v in j["volumes"]]' '[3, 514, 515, 0, 258]'
json_is 'all(v["origin"] is None and len(v["uuid"]) == 36 and v["created"] > 0 for v in j["volumes"])' True

# What overwrites need is reserved, and the figures add up.
status 0 "$kmemblk" info --json "$device"
json_is 'j["volumes"], j["snapshots"]' '(2, 3)'
json_is 'j["pages_used"] + j["pages_tables"] + j["pages_free"] == j["data_pages"]' True
# All of kmem0 (768 blocks, 3 tables) but what it owns, and all of logs.
json_is 'j["pages_reserved"]' $((768 + 3 - 3 + 256 + 2))
status 0 "$kmemblk" info "$device"
says out '^  snapshots    3$'
says out '^  reserved +4.0 MiB +1026 pages '
check_device

# Refused, with nothing changed.
refuse() {
	local words=$1
	shift
	status 8 "$kmemblk" "$@"
	silent out
	says err "^kmemblk: $words"
}
before=$(views)
refuse "snapshot: $device: there is kmem0@monday already" snapshot "$device" kmem0@monday
refuse "snapshot: $device: .*there is logs@tuesday already" snapshot "$device" kmem0@new logs@tuesday
refuse "snapshot: $device: there is no volume none; there are: kmem0, " snapshot "$device" none@x
refuse "snapshot: $device: \"kmem0\" is not VOLUME@SNAPSHOT" snapshot "$device" kmem0
refuse "snapshot: $device: \"kmem0@a@b\" is not VOLUME@SNAPSHOT" snapshot "$device" kmem0@a@b
refuse "snapshot: $device: two of one volume: " snapshot "$device" kmem0@a kmem0@b
refuse "resize: $device: kmem0@monday is a snapshot, which never changes: .*kmemblk clone" \
	resize "$device" kmem0@monday --size=1G
refuse "create: $device: \"kmem0@x\" cannot be a name.*made by kmemblk snapshot" create "$device" kmem0@x --size=1G
test "$(views)" = "$before" || fail "changed: $(views)"
status 16 "$kmemblk" snapshot "$device"
says err "a name is missing after '$device'; to see those there are, type: kmemblk list $device"

# More than half of what is free: both numbers are told.
put kmem0 5 0:20M
refuse "snapshot: $device: so that all of it can be overwritten [0-9]+ pages must be reserved, and [0-9]+ are left: " \
	snapshot "$device" kmem0@large
says err 'or add --thin: '
test "$(views)" = "$before" || fail "changed: $(views)"
holds kmem0 5 0:20M

# A device that is served is the server's, and this one cannot be asked.
start_nbdkit "$device" control=none
refuse "claim: $device: in use by process $server " snapshot "$device" logs@x
stop_nbdkit
check_device
