#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Text from the media cannot move the cursor of a terminal or break the JSON.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M --label=harmless
# ESC [ 2 J, a newline, a byte that is not UTF-8.
super 112 "$(printf 'a\033[2J\n\377b\0' | od -An -tx1 | tr -d ' \n')"
status 0 "$kmemblk" info "$device"
says out '^  label +a\?\[2J\?\?b'
status 0 "$kmemblk" info --json "$device"
json_is 'j["label"]' 'a?[2J??b'

# Neither can a path.
cp "$device" "$tmp/"$'x\377\ny'
status 0 "$kmemblk" info --json "$tmp/"$'x\377\ny'
json_is 'j["path"]' "$tmp/x??y"
