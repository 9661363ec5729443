#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A caller that closed a standard descriptor cannot make the command write its messages into the
# device.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
format --create=16M
cp "$device" "$tmp/before"

# Standard output: descriptor 1 would be the device.
got=0
"$kmemblk" check --repair "$device" >&- 2> "$tmp/err" || got=$?
test $got -eq 8 || fail "status $got instead of 8"
says err '^kmemblk: cannot write to standard output'
cmp "$device" "$tmp/before" || fail "the device was changed"

# Standard input, output and error.
got=0
"$kmemblk" check --repair "$device" <&- >&- 2>&- || got=$?
test $got -eq 8 || fail "status $got instead of 8"
cmp "$device" "$tmp/before" || fail "the device was changed"

# Standard error, and something to say there: the device is damaged.
poke 100 5a
cp "$device" "$tmp/before"
got=0
"$kmemblk" info "$device" 2>&- || got=$?
test $got -eq 8 || fail "status $got instead of 8"
cmp "$device" "$tmp/before" || fail "the device was changed"
