#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# readonly=true: clients read and cannot write, the file may be one that cannot be written, and
# several such servers share the device.  With nbdkit's own -r the client cannot write either.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires nbdinfo --version
requires nbdcopy --version
device disk
start_nbdkit "$device" create=16M
head -c 1M /dev/urandom > "$tmp/in"
nbdcopy "$tmp/in" "$uri"
stop_nbdkit

before=$(sha256sum < "$device")
chmod 400 "$device"
start_nbdkit "$device" readonly=true
start_nbdkit "$device" readonly=yes
nbdinfo "$uri" | grep -q 'is_read_only: true' || fail "not read-only"
nbdcopy "$uri" "$tmp/out"
cmp -n 1048576 "$tmp/in" "$tmp/out" || fail "it reads as something else"
if nbdcopy "$tmp/in" "$uri" 2> "$tmp/log"; then
	fail "a client could write"
fi
test "$(sha256sum < "$device")" = "$before" || fail "a read-only server changed the device"
stop_nbdkit

# While one of the readers is left, nobody opens the device for writing.
chmod 600 "$device"
expect_error 1 "$device: .*(in use|open elsewhere|is served)" try_nbdkit "$device"

device other
start_nbdkit -r "$device" create=16M
nbdinfo "$uri" | grep -q 'is_read_only: true' || fail "not read-only with -r"
if nbdcopy "$tmp/in" "$uri" 2> "$tmp/log"; then
	fail "a client could write with -r"
fi
