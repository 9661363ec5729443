#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --size makes the disk that large; the rest of the device stays memory.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=64M --size=8M
status 0 "$kmemblk" info --json "$device"
json_is 'j["size_bytes"]' $((8 << 20))
json_is 'j["blocks"]' 2048
json_is 'j["device_pages"]' 16384
json_is 'j["pages_free"] > 14000' True
