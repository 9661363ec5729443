#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# When --create fails, nothing is left behind: no file, no temporary one.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

mkdir "$tmp/empty"
# Too small for a superblock, its copy, an index and a block; and larger than any device.
for size in 4096 8K 8388607T; do
	status 8 "$kmemblk" format --create=$size "$tmp/empty/d"
	says err "^kmemblk: .*$tmp/empty/d"
	silent out
	test -z "$(ls -A "$tmp/empty")" || fail "left behind: $(ls -A "$tmp/empty")"
done
# The disk does not fit the device.
status 8 "$kmemblk" format --create=1M --size=2M "$tmp/empty/d"
test -z "$(ls -A "$tmp/empty")" || fail "left behind: $(ls -A "$tmp/empty")"
# No such folder.
status 8 "$kmemblk" format --create=1M "$tmp/none/d"
says err '[Nn]o such file'
