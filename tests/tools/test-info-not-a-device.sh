#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# info says what is wrong with something that is no kmemblk device, prints nothing else, and
# exits with 8.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d

# what_to_type: the command that the message names; empty for none.
what_to_type() {
	sed -n 's/.* type: //p' "$tmp/err"
}

# Something that is not ours: no command is proposed that would cost it.
something() {
	status 8 "$kmemblk" info "$device"
	says err "^kmemblk: open: $device: not a kmemblk device.*$1"
	test -z "$(what_to_type)" || fail "proposes: $(what_to_type)"
	! grep -q 'kmemblk format\|truncate' "$tmp/err" || fail "proposes: $(cat "$tmp/err")"
}

seq 20000 > "$device"
something "a file with contents \($(stat -c %s "$device") bytes\)"
echo x > "$device"
something 'smaller than a page'
cat "$BASH" > "$device"
something 'a file with contents'
truncate -s 0 "$device"
truncate -s 16M "$device"
poke 446 00000000830000000008000000700000
poke 510 55aa
something 'a partition table'
rm "$device"

# Nothing to lose: the command that is named makes a device of it.
truncate -s 16M "$device"
status 8 "$kmemblk" info "$device"
command=$(what_to_type)
test "$command" = "kmemblk format $device" || fail "does not name the command: $(cat "$tmp/err")"
: > "$device.empty"
cleanup_fn rm -f "$device.empty"
status 8 "$kmemblk" info "$device.empty"
says err "type: truncate --size=SIZE $device.empty && kmemblk format $device.empty$"

for options in '' --json; do
	status 8 "$kmemblk" info $options "$device"
	silent out
	says err "^kmemblk: .*$device.*"
	test "$(wc -l < "$tmp/err")" -eq 1 || fail "more than one line: $(cat "$tmp/err")"
done
status 8 "$kmemblk" info "$device.none"
says err "^kmemblk: .*$device.none.*[Nn]o such file"
status 8 "$kmemblk" info "$tmp"
says err "^kmemblk: .*$tmp"
status 8 "$kmemblk" info /dev/null
says err "^kmemblk: .*/dev/null"
