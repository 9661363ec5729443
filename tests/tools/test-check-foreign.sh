#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Something that was never a kmemblk device is a finding (4), and --repair writes nothing to it.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
head -c 16M /dev/urandom > "$device"
cp "$device" "$tmp/before"
for repair in '' --repair; do
	status 4 "$kmemblk" check $repair "$device"
	says out '^left: '
	cmp "$device" "$tmp/before" || fail "the device was changed"
done
