#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --label is kept, up to 63 bytes of UTF-8; a longer one is refused.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M --label='Größe 1'
status 0 "$kmemblk" info --json "$device"
json_is 'j["label"] == "Gr\u00f6\u00dfe 1"' True
status 0 "$kmemblk" info "$device"
says out 'label +Größe 1$'

label=$(printf '%063d' 0)
format --force --label="$label"
status 0 "$kmemblk" info --json "$device"
json_is 'j["label"]' "$label"

status 16 "$kmemblk" format --force --label="${label}0" "$device"
says err '^kmemblk format: --label=0*: must be at most 63 bytes$'
for wrong in $'\xff' $'a\nb' $'\e[2J'; do
	status 16 "$kmemblk" format --force --label="$wrong" "$device"
	says err '^kmemblk format: --label=.*: must be printable UTF-8$'
done
status 0 "$kmemblk" info --json "$device"
json_is 'j["label"]' "$label"
