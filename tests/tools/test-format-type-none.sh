#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --type=none makes no disk: all of the device is memory.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
status 0 "$kmemblk" format --create=16M --type=none "$device"
says out ': no disk, .* of memory to lend'
says out "kmemblk info $device$"
status 0 "$kmemblk" info --json "$device"
json_is 'j["type"]' none
json_is 'j["blocks"]' 0
json_is 'j["size_bytes"]' 0
json_is 'j["pages_tables"]' 0
json_is 'j["pages_free"]' 4094
status 0 "$kmemblk" info "$device"
says out ': no disk'
status 0 "$kmemblk" check "$device"
