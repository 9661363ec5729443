#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device that is being served is not formatted, --force or not; the message names the server.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires nbdkit --version
device d
format --create=16M
start_nbdkit "$device"
for force in '' --force; do
	status 8 "$kmemblk" format $force "$device"
	silent out
	says err "^kmemblk: .*$device.*in use by .*$server"
	says err nbdkit
done
stop_nbdkit
status 0 "$kmemblk" check "$device"
