# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Contents of volumes and snapshots, for shell tests that change these while nobody serves the device.  After
# functions.sh.
#
#     put NAME BYTE WHERE...         fill parts of a volume; each WHERE is OFFSET:LENGTH
#     holds NAME BYTE WHERE...       fails unless these parts of a volume or a snapshot are that byte
#     views                          prints what is listed, in one line; + is put before a snapshot

. "$abs_top_srcdir/tests/common/qemu-io.sh"

# on_volume NAME OPTION COMMAND...: by a server of its own; none of the commands may fail.
on_volume() {
	local name=$1 option=$2 args=() command
	shift 2
	for command; do
		args+=(-c "$command")
	done
	start_nbdkit "$device"
	qemu-io ${option:+"$option"} -f raw "${args[@]}" "nbd+unix:///$name?socket=$socket" > "$tmp/qemu-io.log" 2>&1 ||
		fail "$name: $*: $(cat "$tmp/qemu-io.log")"
	stop_nbdkit
	! grep -qiE 'fail|error|invalid' "$tmp/qemu-io.log" || fail "$name: $*: $(cat "$tmp/qemu-io.log")"
	test "$(grep -cE '^(read|wrote) ([0-9]+)/\2 bytes' "$tmp/qemu-io.log")" -eq $# ||
		fail "$name: $*: $(cat "$tmp/qemu-io.log")"
}

put() {
	local name=$1 byte=$2 where commands=()
	shift 2
	for where; do
		commands+=("write -P $byte ${where/:/ }")
	done
	on_volume "$name" '' "${commands[@]}"
}

holds() {
	local name=$1 byte=$2 where commands=()
	shift 2
	for where; do
		commands+=("read -P $byte ${where/:/ }")
	done
	on_volume "$name" -r "${commands[@]}"
}

views() {
	"$kmemblk" list "$device" | sed -n '1d; s/^  /+/; s/ .*//p' | paste -sd' '
}
