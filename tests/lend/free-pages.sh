# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
#
# What the tests of a server's own free pages share, beyond tests/functions.sh:
#
#     $modules              where the modules for allocator= are
#     load ACTION ...       the client of load.c, on the server that was started last
#     storage               bytes of storage that $device has
#     at_most BYTES         waits until $device has at most so many
#     pages NAME            a number from the server's line about pages, as of now (needs -v)
#     lent_at_least N       waits until so many pages are lent
#     log                   what the server has said so far
#     logged PATTERN        true if it has said something like that; prints it

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

modules=$abs_top_builddir/tests/lend/.libs

load() {
	local action=$1
	shift
	"$abs_top_builddir/tests/lend/load" "$uri" "$action" "$@"
}

storage() {
	echo $(($(stat -c '%b * %B' "$device")))
}

has_at_most() {
	test "$(storage)" -le "$1"
}

at_most() {
	eventually has_at_most "$1"
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

are_lent() {
	test "$(pages lent)" -ge "$1"
}

lent_at_least() {
	eventually are_lent "$1"
}
