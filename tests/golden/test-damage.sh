#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each kind of damage is told, refused and repaired as the tables say, in these words and bytes.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires python3 -c 'import subprocess'
device d
golden=$abs_top_srcdir/tests/golden
server=()
# With AddressSanitizer nbdkit hangs now and then: see step_asan in tests/run.sh.
test -n "${asan_library:-}" || ! nbdkit --version > "$tmp/log" 2>&1 || server=(nbdkit "$plugin")
for image in v2 snapshots pages; do
	table=$golden/damage-$image.txt
	test "$image" != v2 || table=$golden/damage.txt
	PYTHONPATH=$abs_top_srcdir/tests/common python3 -B "$golden/damage.py" "$table" "$golden/$image.od" \
		"$device" "$tmp" "$kmemblk" ./read-all "${server[@]}" || fail "not as in ${table##*/}"
done
