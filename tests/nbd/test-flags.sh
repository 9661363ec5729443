#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What the server tells a client about the disk: flags, block sizes, export name, description.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires nbdinfo --version
device disk
start_nbdkit "$device" create=16M

nbdinfo "$uri" > "$tmp/info" || fail "nbdinfo failed"
for line in \
	'export="kmem0":' \
	'base:allocation' \
	'is_rotational: false' \
	'is_read_only: false' \
	'can_cache: true' \
	'can_df: true' \
	'can_fast_zero: true' \
	'can_flush: true' \
	'can_fua: true' \
	'can_multi_conn: true' \
	'can_trim: true' \
	'can_zero: true' \
	'block_size_minimum: 1$' \
	'block_size_preferred: 4096' \
	'block_size_maximum: 67108864'; do
	grep -qE "$line" "$tmp/info" || fail "nbdinfo does not say '$line': $(cat "$tmp/info")"
done
