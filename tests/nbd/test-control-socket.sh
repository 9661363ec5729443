#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The control socket: where it is, what it replaces and what not, when it goes; and what the command says of a server
# that cannot be asked.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

test -z "${asan_library:-}" || skip "a server with AddressSanitizer reads no JSON: tests/functions.sh"
device disk
disk=$device
"$kmemblk" format --create=16M "$disk" > "$tmp/out"
usual=$(control_socket)
control=$tmp/control

create() {
	"$kmemblk" create "$device" "$1" --size=1M > "$tmp/out"
}
refuse() {
	expect_error 8 "$1" "$kmemblk" create "$device" not --size=1M
}
names() {
	"$kmemblk" list "${1:-$device}" | sed '1d; s/^ *//; s/ .*//' | paste -sd' '
}

# ---- the usual one, and one that is named --------------------------------------------------------

start_nbdkit "$device"
test -S "$usual" || fail "no socket $usual"
test "$(stat -c %a "$usual")" = 600 || test "$(id -u)" -eq 0 || fail "mode $(stat -c %a "$usual")"
create a
"$kmemblk" rename "$usual" a b > "$tmp/out"
grep -qx "$usual: a is b now" "$tmp/out" || fail "$(cat "$tmp/out")"
test "$(names "$usual")" = 'kmem0 b' || fail "$(names "$usual")"
expect_error 8 "^kmemblk: open: $usual: a socket: name the device$" "$kmemblk" info "$usual"
expect_error 8 "^kmemblk: control: $socket: .*, or this is no control socket" "$kmemblk" list "$socket"
stop_nbdkit
test ! -e "$usual" || fail "the server has left its socket"
expect_error 8 "^kmemblk: open: $usual: no such socket; if its server has ended, name the device$" \
	"$kmemblk" list "$usual"

start_nbdkit "$device" control="$control"
test ! -e "$usual" || fail "a socket that was not asked for"
refuse "^kmemblk: claim: $device: in use by process $server \(nbdkit\); if it is a server, it has no socket /run/kmemblk/$(basename "$usual"), nor one in .*: name the socket that it was given by control= instead of the device"
"$kmemblk" create "$control" c --size=1M > "$tmp/out"
test "$(names "$control")" = 'kmem0 b c' || fail "$(names "$control")"
# Reading needs no server.
test "$(names)" = 'kmem0 b c' || fail "$(names)"
stop_nbdkit
test ! -e "$control" || fail "the server has left its socket"

start_nbdkit "$device" control=none
test ! -e "$usual" || fail "a socket in spite of control=none"
refuse "^kmemblk: claim: $device: in use by process $server \(nbdkit\); if it is a server, it has no socket"
test "$(names)" = 'kmem0 b c' || fail "$(names)"
stop_nbdkit

# ---- what is there already -----------------------------------------------------------------------

refuse_start() {
	expect_error 1 "$1" nbdkit -f -U "$tmp/nbd" "$plugin" "$device" "${@:2}"
}
echo thesis > "$tmp/thesis.txt"
refuse_start "control: $tmp/thesis.txt: a regular file is there, not a socket: choose another name" control="$tmp/thesis.txt"
test "$(cat "$tmp/thesis.txt")" = thesis || fail "the file has changed"
refuse_start "control: $device: a regular file is there" control="$device"
refuse_start 'control=: type the path of a socket' control=
refuse_start "control: /.*: longer than the 107 bytes of a socket's path" control="$tmp/$(printf '%0100d' 0)"
refuse_start 'control=.*was given before' control="$control" control=none
refuse_start 'readonly=true changes no volumes.*leave out control=' readonly=true control="$control"
touch "$tmp/taken"
expect_error 1 'Address already in use' nbdkit -U "$tmp/taken" "$plugin" "$device"
test ! -e "$usual" || fail "a start that failed has left its socket"
nbdkit -U - "$plugin" "$device" readonly=true --run "test ! -e '$usual'" || fail "a read-only server has a socket"

# A server that was killed leaves its socket, which stands in nobody's way.
start_nbdkit "$device"
end_process "$server" KILL
test -S "$usual" || fail "no socket"
create d
expect_error 8 "^kmemblk: control: $usual: the server whose socket this is has ended: name the device" \
	"$kmemblk" list "$usual"
start_nbdkit "$device" control=none
refuse "in use by process $server \(nbdkit\); it is no server that can be asked: the socket $usual is of one that has ended"
test "$(names)" = 'kmem0 b c d' || fail "$(names)"
stop_nbdkit
start_nbdkit "$device"
create e
stop_nbdkit
test ! -e "$usual" || fail "the server has left its socket"

# Two servers, two devices, one name.
start_nbdkit "$device" control="$control"
first=$server
device other
expect_error 1 "control: $control: in use by another server: choose another name" \
	nbdkit -f -U "$tmp/nbd" "$plugin" "$device" create=16M control="$control"
test "$(names "$control")" = 'kmem0 b c d e' || fail "the first server has lost its socket"
end_process "$first"

# ---- a copy has the same uuid --------------------------------------------------------------------

device copy
copy=$device
cp "$disk" "$copy"
start_nbdkit "$disk"
first=$server
# Idle, but there is a server of that uuid.
create idle
test "$(names)" = 'kmem0 b c d e idle' || fail "$(names)"
test "$(names "$disk")" = 'kmem0 b c d e' || fail "the wrong device was changed: $(names "$disk")"
start_nbdkit "$copy"
grep -q "warning: $copy: its volumes cannot be changed while it is served: control: $usual: in use by another server" \
	"$tmp/nbdkit$servers.log" || fail "no warning: $(cat "$tmp/nbdkit$servers.log")"
refuse "in use by process $server \(nbdkit\); it cannot be asked: the socket $usual is of the server of another device with the same uuid, such as a copy"
test "$(names)" = 'kmem0 b c d e idle' || fail "$(names)"
test "$(names "$disk")" = 'kmem0 b c d e' || fail "the wrong device was changed: $(names "$disk")"
stop_nbdkit
end_process "$first"

# ---- in the background, and with --run -----------------------------------------------------------

device=$disk
nbdkit -U "$tmp/nbd" -P "$tmp/pid" "$plugin" "$device"
await_daemon "$tmp/pid"
cleanup_fn kill -9 "$pid"
create f
kill "$pid"
gone() { test ! -e "$usual" && ! kill -0 "$pid"; }
eventually gone
cleanup_done
status=0
nbdkit -U - "$plugin" "$device" --run "'$kmemblk' create '$device' g --size=1M && exit 3" > "$tmp/out" || status=$?
test $status -eq 3 || fail "status $status of --run"
eventually test ! -e "$usual"
test "$(names)" = 'kmem0 b c d e f g' || fail "$(names)"
test -z "$(find "$tmp" "$(dirname "$usual")" -name '.kmemblk*')" || fail "a private folder is left"
check_device
