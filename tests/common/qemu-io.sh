# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# QEMU's client for shell tests, on $uri; the test is skipped where there is none.  After functions.sh.

requires qemu-io --version

# qemu_io COMMAND...: print what it says; 1 if one of them failed.
qemu_io() {
	local args=() command
	for command; do
		args+=(-c "$command")
	done
	qemu-io -f raw "${args[@]}" "$uri" 2>&1
}

# qemu_io_works COMMAND...: true if each of them has done all that it should; what it says is in
# $tmp/qemu-io.log.
qemu_io_works() {
	local wanted
	wanted=$(printf '%s\n' "$@" | grep -cE '^(aio_)?(read|write|discard)')
	qemu_io "$@" > "$tmp/qemu-io.log" && ! grep -qiE 'fail|error|invalid' "$tmp/qemu-io.log" &&
		test "$(grep -cE '^(read|wrote|discard) ([0-9]+)/\2 bytes' "$tmp/qemu-io.log")" -eq "$wanted"
}

# must COMMAND...: none of them may fail.
must() {
	qemu_io_works "$@" || fail "$*: $(cat "$tmp/qemu-io.log")"
}
