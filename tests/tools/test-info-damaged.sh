#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# info counts damaged entries and names the command that looks into them.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M
entry 5 0x7fffffffff
entry 6 1
status 0 "$kmemblk" info --json "$device"
json_is 'j["entries_damaged"]' 2
status 0 "$kmemblk" info "$device"
says out "2 entries of the map are damaged: run kmemblk check $device$"
