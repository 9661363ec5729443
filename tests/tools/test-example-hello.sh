#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The example program makes a device the first time, finds it the second time, and leaves it
# sound.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

hello=$abs_top_builddir/examples/hello
device d
for _ in first second; do
	status 0 "$hello" "$device"
	says out '^hello, persistent memory$'
	silent err
	status 0 "$kmemblk" check --json "$device"
	json_is 'j["pages_used"]' 1
done
status 2 "$hello"
status 1 "$hello" "$tmp/none/d"
says err '^hello: .*[Nn]o such file'
