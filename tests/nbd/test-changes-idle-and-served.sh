#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# list, create, delete, rename, resize, snapshot, clone, rollback and thin do the same, print the same, fail with the same
# words and the same status, whether a server has the device or nobody has.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"
. "$abs_top_srcdir/tests/common/volumes.sh"

requires nbdkit --version
test -z "${asan_library:-}" || skip "a server with AddressSanitizer reads no JSON: tests/functions.sh"
device d

# run STATUS SUBCOMMAND ARGUMENT...: on $device.  All that it says goes to $log, and what is listed then, without what
# is another each time.
run() {
	local want=$1 subcommand=$2
	shift 2
	status "$want" "$kmemblk" "$subcommand" "$device" "$@"
	{
		echo "$subcommand $*: $want"
		cat "$tmp/out" "$tmp/err"
		"$kmemblk" list "$device"
	} | sed -E 's/20[0-9]{2}-[0-9-]{5} [0-9:]{8} UTC/DATE/; s/[0-9a-f]{8}-[0-9a-f-]{27}/UUID/' >> "$log"
}

# All of it, by `fill` and `same` of the way that is tried.
all() {
	format --create=64M --size=16M

	run 0 create vm1 --size=1G
	run 0 create --prealloc vm2 --size=2M
	run 8 create vm1 --size=1G
	run 8 create .vm1 --size=1G
	run 8 create vm1@x --size=1G
	run 8 create large --size=1G --prealloc
	run 16 create vm3
	run 16 create vm3 --size=1000
	run 8 create vm3 --size=4000T

	fill vm1 1 0:1M 512M:64k
	run 0 snapshot vm1@a vm2@a kmem0@a
	run 8 snapshot vm1@a
	run 8 snapshot vm1@b none@b
	run 8 snapshot vm1@b vm1@c
	run 8 snapshot vm1
	fill vm1 2 0:64k
	run 0 snapshot vm1@b

	run 0 rename vm2 web
	run 8 rename vm2 web
	run 8 rename web vm1
	run 8 rename web 'a b'
	run 0 rename web@a web@before
	run 8 rename web@before vm1@before

	run 0 resize vm1 --size=2G
	run 0 resize vm1 --size=1G
	run 8 resize vm1 --size=256M
	run 0 resize vm1 --size=256M --force
	run 8 resize none --size=256M
	run 8 resize vm1@a --size=256M
	run 0 resize web --size=1000T
	run 8 resize web --size=3000T

	run 0 clone vm1@b vm3
	run 8 clone vm1@b vm3
	run 8 clone vm1@none vm4
	run 8 clone vm1 vm4

	run 0 create --thin sparse --size=8G
	run 0 thin --off sparse
	run 0 thin sparse
	run 0 snapshot --thin vm1@thin
	run 0 delete vm1@thin
	run 0 clone --thin vm1@b vm4
	run 0 delete vm4
	run 0 delete sparse
	run 8 thin none
	run 8 thin vm1@b

	run 8 rollback vm1@a
	run 8 rollback --force vm1@a
	run 8 delete --recursive vm1
	run 8 delete vm1@b
	run 0 delete vm3
	run 0 rollback --force vm1@a
	same vm1 1 0:1M 512M:64k
	run 8 rollback vm1
	run 8 rollback vm1@none

	run 8 delete vm1
	run 8 delete none
	run 8 delete $'\e[31m\xff"'
	run 0 delete vm1@a
	run 0 snapshot vm1@c
	run 0 snapshot vm1@d
	run 0 delete --recursive vm1
	run 0 delete web@before
	run 0 delete web
	status 0 "$kmemblk" list --json "$device"
	sed -E 's/("created":)[0-9]+/\1N/; s/[0-9a-f]{8}-[0-9a-f-]{27}/UUID/g' "$tmp/out" >> "$log"
}

# Nobody has it.
log=$tmp/idle
fill() { put "$@"; }
same() { holds "$@"; }
all
check_device
rm "$device"

# A server has it, and clients.
log=$tmp/served
on_server() {
	uri="nbd+unix:///$1?socket=$socket"
	shift
	must "$@"
}
fill() {
	local name=$1 byte=$2 where
	shift 2
	for where; do
		on_server "$name" "write -P $byte ${where/:/ }"
	done
}
same() {
	local name=$1 byte=$2 where
	shift 2
	for where; do
		on_server "$name" "read -P $byte ${where/:/ }"
	done
}
format() {
	"$kmemblk" format "$@" "$device" > "$tmp/format.out"
	start_nbdkit "$device"
	expect_error 8 "in use by process $server" "$kmemblk" check "$device"
}
all
is_running "$server" || fail "the server has ended"
diff -u "$tmp/idle" "$tmp/served" || fail "idle (-) and served (+) differ"
stop_nbdkit
check_device
