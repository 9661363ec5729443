#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What nbdcopy puts in comes out again: in one nbdkit --run, by another server afterwards, and with
# holes where the input had zeroes.  The device is sound after it, also after kill -9 in the middle.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires nbdcopy --version
requires nbdinfo --version
device disk

# Data, zeroes, data, and an end inside a block.
head -c 40M /dev/urandom > "$tmp/in"
truncate -s 90M "$tmp/in"
head -c 12345678 /dev/urandom >> "$tmp/in"
length=$(stat -c %s "$tmp/in")

# nbdkit --run does not wait for its server to end: so ask until the device is free.
was_free() {
	status=0
	"$kmemblk" check "$device" > "$tmp/check.log" 2>&1 || status=$?
	test "$status" -ne 8
}
check_when_free() {
	eventually was_free
	test "$status" -eq 0 || fail "kmemblk check: $(cat "$tmp/check.log")"
}

# shellcheck disable=SC2016 # nbdkit's variable
in="$tmp/in" out="$tmp/out" nbdkit -U - "$plugin" "$device" create=1G \
	--run 'nbdcopy "$in" "$uri" && nbdcopy "$uri" "$out"'
cmp -n "$length" "$tmp/in" "$tmp/out" || fail "it came out as something else"
check_when_free

start_nbdkit "$device"
rm "$tmp/out"
nbdcopy "$uri" "$tmp/out"
cmp -n "$length" "$tmp/in" "$tmp/out" || fail "another server gives something else"
nbdinfo --map --totals "$uri" | grep -qE '^ *5429[0-9]{4} .* 0 +data' ||
	fail "not 54.29 MB of data: $(nbdinfo --map --totals "$uri")"

for ((round = 0; round < 5; round++)); do
	nbdcopy "$tmp/in" "$uri" 2> "$tmp/copy.log" &
	copy=$!
	cleanup_fn end_process $copy
	sleep 0.0$round
	end_process "$server" KILL
	wait "$copy" || true
	check_when_free
	start_nbdkit "$device"
done

# The second copy of the same bytes, whole or cut, has changed nothing.
rm "$tmp/out"
nbdcopy "$uri" "$tmp/out"
cmp -n "$length" "$tmp/in" "$tmp/out" || fail "a killed server lost something"
