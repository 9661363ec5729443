#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# On memory a connection's requests are done one by one, on an ordinary file at once, unless thread-model= says
# otherwise.  Nothing is made to find that out.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

# expect_model MODEL PARAMETER...: what nbdkit would take.
expect_model() {
	local model=$1
	shift
	nbdkit "$plugin" --dump-plugin "$@" > "$tmp/dump"
	grep -qx "thread_model=$model" "$tmp/dump" ||
		fail "not $model: $*: $(grep thread_model "$tmp/dump")"
}

# expect_served MODEL PARAMETER...: what it takes.
expect_served() {
	local model=$1
	shift
	start_nbdkit -v "$@"
	nbdinfo --size "$uri" > /dev/null
	stop_nbdkit
	grep -qE "debug: using thread model: $model\$" "$tmp/nbdkit$servers.log" ||
		fail "not $model: $*: $(grep 'thread model' "$tmp/nbdkit$servers.log")"
}

# A device that is to be made, is there, and is not to be written.
device disk
expect_model serialize_requests "$device" create=16M
expect_model parallel "$device" create=16M thread-model=parallel
test ! -e "$device" || fail "$device was made to find out what it would be"
expect_served serialize_requests "$device" create=16M
expect_served parallel "$device" thread-model=parallel
expect_served serialize_requests "$device" readonly=true
expect_model serialize_requests "$device" thread-model=auto
chmod a-w "$device"
expect_model serialize_requests "$device" readonly=true

# The same elsewhere than on tmpfs, which is an ordinary file system, mostly.
folder_on_disk
expect_model parallel "$folder/disk" create=16M
expect_model serialize_requests "$folder/disk" create=16M thread-model=requests
test -z "$(ls -A "$folder")" || fail "left in $folder: $(ls -A "$folder")"
expect_served parallel "$folder/disk" create=16M
expect_served serialize_requests "$folder/disk" thread-model=requests
expect_model parallel "$folder/disk"

# What cannot be told is left to the start to refuse, as it was.
expect_model parallel
expect_model parallel "$tmp/no/such/folder/disk" create=16M
expect_error 1 'no/such/folder' try_nbdkit "$tmp/no/such/folder/disk" create=16M
