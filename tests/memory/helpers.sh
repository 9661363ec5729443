# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
#
# What the tests of this folder share, beyond tests/functions.sh:
#
#     $modules              where the modules for allocator= are
#     load ACTION ...       the client of load.c, on the server that was started last
#     storage               bytes of storage that $device has
#     at_most BYTES         waits until $device has at most so many; $waited: milliseconds
#     pages NAME            a number from the server's line about pages, as of now (needs -v)
#     lent_at_least N WHAT  waits until so many pages are lent; WHAT fails otherwise
#     field NAME            a number from kmemblk info --json $device
#     log                   what the server has said so far
#     logged PATTERN        true if it has said something like that; prints it

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

modules=$abs_top_builddir/tests/memory/.libs

load() {
	local action=$1
	shift
	"$abs_top_builddir/tests/memory/load" "$uri" "$action" "$@"
}

storage() {
	echo $(($(stat -c '%b * %B' "$device")))
}

at_most() {
	local begin i
	begin=$(date +%s%N)
	for ((i = 0; i < 1000; i++)); do
		test "$(storage)" -gt "$1" || break
		sleep 0.02
	done
	waited=$((($(date +%s%N) - begin) / 1000000))
	test "$(storage)" -le "$1" || fail "$device has $(storage) bytes of storage, not $1 or less"
}

log() {
	cat "$tmp/nbdkit$servers.log"
}

logged() {
	grep -E -- "$1" "$tmp/nbdkit$servers.log"
}

# The server tells when a client goes: let one come and go.
pages() {
	local lines
	lines=$(logged 'pages: used=' | wc -l || true)
	nbdinfo --size "$uri" > "$tmp/nbdinfo.log"
	while test "$(logged 'pages: used=' | wc -l || true)" -eq "$lines"; do
		sleep 0.02
	done
	logged 'pages: used=' | tail -n 1 | sed "s/.* $1=\\([0-9]*\\).*/\\1/"
}

lent_at_least() {
	local i
	for ((i = 0; i < 500; i++)); do
		test "$(pages lent)" -lt "$1" || break
		sleep 0.05
	done
	test "$(pages lent)" -ge "$1" || fail "$(pages lent) pages lent, not $1 or more: $2"
}

field() {
	"$kmemblk" info --json "$device" | sed -n "s/.*\"$1\": *\\([0-9]*\\).*/\\1/p"
}
