#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --prealloc gives every block its page, and the summary says thick.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
status 0 "$kmemblk" format --create=16M --prealloc "$device"
says out ' thick,'
status 0 "$kmemblk" info --json "$device"
json_is 'j["pages_used"] == j["blocks"] and j["blocks"] > 0' True
status 0 "$kmemblk" check "$device"
