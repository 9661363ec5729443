#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Whoever cannot borrow is told why, and what to type; and never to start a server where something
# else is than a socket.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 64M
borrower=$abs_top_builddir/tests/lend/borrower

# told PATTERN SOCKET [COMMAND...]: what each command says of it, started by COMMAND.
told() {
	local pattern=$1 at=$2
	shift 2
	expect_error 8 "^kmemblk: stat: $pattern" "$@" "$kmemblk" stat "$at"
	expect_error 8 "^kmemblk: stat: $pattern" "$@" "$kmemblk" top "$at"
	expect_error 8 "^kmemblk: borrow: $pattern" "$@" "$kmemblk" run --lend="$at" -- true
	expect_error 1 "borrow: $pattern" "$@" "$borrower" zones "$at"
}

# not_a_socket WHAT PATH: no command is proposed that would replace it.
not_a_socket() {
	told "$2: $1 is there, not a socket: name the socket" "$2"
	"$kmemblk" stat "$2" > "$tmp/out" 2>&1 || true
	! grep -q nbdkit "$tmp/out" || fail "$(cat "$tmp/out")"
}
echo content > "$tmp/file"
mkfifo "$tmp/fifo"
not_a_socket 'a regular file' "$tmp/file"
not_a_socket 'a regular file' "$device"
not_a_socket 'a FIFO' "$tmp/fifo"
not_a_socket 'a character device' /dev/null
not_a_socket 'a folder' "$tmp"
test "$(cat "$tmp/file")" = content || fail "the file has changed"

told '/nonexistent: no lending server; start one: nbdkit kmemblk DEVICE lend=/nonexistent' /nonexistent
told "$tmp/my socket: no lending server; start one: nbdkit kmemblk DEVICE lend='$tmp/my socket'\$" "$tmp/my socket"
# Nothing is proposed that would fail.
told 'no socket is named: name the socket' ''
told "$tmp/none/socket: its folder does not exist: name the socket" "$tmp/none/socket"
ln -s "$tmp/nothing" "$tmp/leads-nowhere"
told "$tmp/leads-nowhere: a symbolic link that leads to nothing: name the socket" "$tmp/leads-nowhere"
told "$tmp/file/x: its folder is not one" "$tmp/file/x"
told 'x+: longer than the 107 bytes' "$(printf 'x%.0s' {1..120})"
# nbdkit's own is a socket of another type.
told "$socket: what answers is no lending server" "$socket"

# The mode keeps a user out; root is none that it could.
if test "$(id -u)" -eq 0; then
	chmod 755 "$tmp"
	requires setpriv --reuid=65534 --clear-groups "$kmemblk" --version
	other=(setpriv --reuid=65534 --clear-groups)
	told "$lend: permission denied: this user may not connect to the socket: see lend-mode=" "$lend" "${other[@]}"
	# What the socket's mode allows, its folder can forbid: this test's, or one above it.
	mkdir -m 700 "$tmp/private"
	told "$tmp/private/socket: permission denied: this user may not enter a folder on the way" "$tmp/private/socket" \
		"${other[@]}"
	chmod 700 "$tmp"
else
	chmod 000 "$lend"
	told "$lend: permission denied: this user may not connect to the socket: see lend-mode=" "$lend"
	chmod 600 "$lend"
	mkdir -m 000 "$tmp/private"
	told "$tmp/private/socket: permission denied: this user may not enter a folder on the way" "$tmp/private/socket"
fi

kill -STOP "$server"
told "$lend: the server is there and does not answer" "$lend"
kill -CONT "$server"
end_process "$server" KILL
told "$lend: the server has ended; start it again: nbdkit kmemblk DEVICE lend=$lend" "$lend"

start_nbdkit "$device" lend="$lend" lend-allow=uid:54321
eventually test -S "$lend"
told "$lend: the server does not lend to this user: see lend-allow=" "$lend"
stop_nbdkit

# A limit that is less than a zone is a fault of the one who typed it.
expect_error 1 'a limit of 1048576 bytes is less than a zone.*lend-limit=2M' \
	nbdkit -f -U - "$plugin" "$device" lend="$lend" lend-limit=1M --run true
start_nbdkit "$device" lend="$lend" lend-limit=2M
eventually test -S "$lend"
expect_error 1 'borrower has as much as the server gives one \(lend-limit=, 2097152 bytes\)' \
	"$borrower" zones "$lend"
stop_nbdkit

# The folder of what is lent.
refused() {
	expect_error 1 "$1" nbdkit -f -U - "$plugin" "$device" lend="$lend" "${@:2}" --run true
}
refused 'this folder is on another file system than' lend-folder="$tmp/loans"
refused 'cannot make this folder.*lend-folder=.*install -d -m 0700 -o ' lend-folder="$tmp/none/loans"
mkdir -m 0755 "$device.loans"
refused 'must be the server.s own .*chmod 0700' lend-most=50%
chmod 0700 "$device.loans"
refused 'at most 1048576 bytes in all are less than a zone.*lend-most=2M' lend-most=1M
refused 'lend-most=0: to lend nothing, leave out lend=' lend-most=0
(
	flock 9
	refused 'another server has its lent memory in this folder: name another by lend-folder='
) 9< "$device.loans"

folder_on_disk
"$kmemblk" format --create=16M "$folder/ordinary.img" > /dev/null
expect_error 1 'free pages of an ordinary file are no memory' \
	nbdkit -f -U - "$plugin" "$folder/ordinary.img" lend="$lend" --run true

# Nothing is free, and the heap may be nowhere else.
device full
"$kmemblk" format --create=16M --prealloc "$device" > /dev/null
start_nbdkit "$device" lend="$lend"
eventually test -S "$lend"
status=0
"${run[@]}" --strict -- true 2> "$tmp/err" || status=$?
test "$status" -ne 0 || fail "a heap without memory"
grep -q "run: borrow: $lend: no zone is free.*kmemblk stat $lend" "$tmp/err" || fail "$(cat "$tmp/err")"
expect_error 1 "borrow: $lend: no zone is free: .*kmemblk stat $lend" "$borrower" try "$lend"
