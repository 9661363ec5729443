#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The default export is kmem<NUMA node>; it is listed and described; every other name opens the
# same disk.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires nbdinfo --version
device disk
"$kmemblk" format --create=16M --label=scratch "$device" > "$tmp/format.log"
uuid=$("$kmemblk" info "$device" | grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -1)
start_nbdkit "$device"

nbdinfo --list "$uri" > "$tmp/list"
test "$(grep -c 'export=' "$tmp/list")" -eq 1 || fail "not one export: $(cat "$tmp/list")"
grep -q 'export="kmem0"' "$tmp/list" || fail "no kmem0: $(cat "$tmp/list")"
description="kmemblk blk on tmpfs, label scratch, uuid $uuid"
grep -qF "description: $description" "$tmp/list" || fail "no '$description': $(cat "$tmp/list")"

size=$(nbdinfo --size "$uri")
for name in kmem0 kmem7 anything; do
	test "$(nbdinfo --size "nbd+unix:///$name?socket=$socket")" = "$size" ||
		fail "export $name is another disk"
done
