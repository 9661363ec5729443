#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the media does not give is told once, when the server starts; nothing else is.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

# expect_warning PATTERN DEVICE
expect_warning() {
	start_nbdkit "$2" create=16M
	stop_nbdkit
	test "$(grep -c . "$tmp/nbdkit$servers.log")" -eq 1 ||
		fail "not one line: $(cat "$tmp/nbdkit$servers.log")"
	grep -qE "^nbdkit: kmemblk: warning: $2: $1" "$tmp/nbdkit$servers.log" ||
		fail "no '$1': $(cat "$tmp/nbdkit$servers.log")"
}

device disk
expect_warning 'tmpfs outlives the server, not a power failure or a reboot' "$device"

# The build folder is somewhere else than on tmpfs, mostly.
folder=$(mktemp -d "$abs_top_builddir/test-warnings.XXXXXX")
cleanup_fn rm -rf "$folder"
test "$(stat -f -c %T "$folder")" != tmpfs || skip "the build folder is on tmpfs: half is not tested"
expect_warning 'an ordinary file is slow: each write waits for it twice' "$folder/disk"
