#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A second server on a device is refused and names the first, whoever made which; it may have the
# device when the first is gone, however that ended.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

device disk
start_nbdkit "$device" create=16M
expect_error 1 "$device: .*$server" try_nbdkit "$device"
grep -q nbdkit "$tmp/expect.out" || fail "the holder's name is not told: $(cat "$tmp/expect.out")"
expect_error 1 "$device: .*$server" try_nbdkit "$device" readonly=true
ln -s "$device" "$tmp/link"
expect_error 1 "$server" try_nbdkit "$tmp/link"

end_process "$server" KILL
start_nbdkit "$device"
