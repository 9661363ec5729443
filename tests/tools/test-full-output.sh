#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Output that cannot be written is an error, whatever was printed: 8 and a message.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

test -c /dev/full || skip "no /dev/full here"
device d
format --create=16M
# lost ARGUMENT...
lost() {
	local got=0
	"$kmemblk" "$@" > /dev/full 2> "$tmp/err" || got=$?
	test $got -eq 8 || fail "status $got instead of 8: $*"
	says err '^kmemblk: cannot write to standard output: No space left on device$'
}
lost --help
lost --version
lost info "$device"
lost info --json "$device"
lost check "$device"
lost check --json "$device"
lost format --force "$device"

# Closed instead of full: what the device is opened as must not be written to either.
cp "$device" "$tmp/before"
got=0
"$kmemblk" check --repair "$device" >&- 2> "$tmp/err" || got=$?
test $got -eq 8 || fail "status $got instead of 8"
says err '^kmemblk: cannot write to standard output'
cmp "$device" "$tmp/before" || fail "the device was changed"

entry 3 1
lost check "$device"
