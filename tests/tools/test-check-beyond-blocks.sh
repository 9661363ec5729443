#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What stands in the index after the last entry is zero; something else there is found.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M --size=4M
# 1024 blocks fill two pages of the index exactly; 1000 do not.
rm "$device"
format --create=16M --size=4096000
entry 1000 100
status 4 "$kmemblk" check "$device"
says out '1000'
