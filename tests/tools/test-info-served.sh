#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# info works while the device is being served, and names the server.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires nbdkit --version
device d
format --create=16M
start_nbdkit "$device" lend="$tmp/lend"
status 0 "$kmemblk" info --json "$device"
json_is 'j["served_by"]["pid"]' "$server"
json_is 'j["served_by"]["name"]' nbdkit
json_is 'j["pages_lent"]' None
status 0 "$kmemblk" info "$device"
says out "^  served by +nbdkit, process $server$"
# What is free is the same number in each output.
free=$(sed -nE 's/^  free +[^ ]+ [^ ]+ +([0-9]+) pages.*/\1/p' "$tmp/out")
status 0 "$kmemblk" info --json "$device"
json_is 'j["pages_free"]' "$free"
json_is 'j["pages_used"] + j["pages_tables"] + j["pages_free"] == j["data_pages"]' True
status 0 "$kmemblk" stat --json "$tmp/lend"
json_is 'j["pages"]["free"]' "$free"
status 0 "$kmemblk" stat "$tmp/lend"
says out "free.* $free( |$)"
stop_nbdkit
status 0 "$kmemblk" info --json "$device"
json_is 'j["served_by"]' None
