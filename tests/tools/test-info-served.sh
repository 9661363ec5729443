#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# info works while the device is being served, and names the server.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires nbdkit --version
device d
format --create=16M
start_nbdkit "$device"
status 0 "$kmemblk" info --json "$device"
json_is 'j["served_by"]["pid"]' "$server"
json_is 'j["served_by"]["name"]' nbdkit
json_is 'j["pages_lent"]' None
status 0 "$kmemblk" info "$device"
says out "^  served by +nbdkit, process $server$"
stop_nbdkit
status 0 "$kmemblk" info --json "$device"
json_is 'j["served_by"]' None
