#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Who may ask a server that root has started: who may read the device lists, and its owner and root change.  A server
# of another user is asked by him and root.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires_root
requires setpriv --version
chmod 755 "$tmp"
# Where the other users find it, too.
mkdir -m 700 "$tmp/nobody"
chown nobody "$tmp/nobody"
cp -L "$plugin" "$tmp/kmemblk.so"
plugin=$tmp/kmemblk.so
owner=$((200000 + $$))
other=$((400000 + $$))
device disk
"$kmemblk" format --create=16M "$device" > "$tmp/out"
usual=$(control_socket)
cleanup_fn rm -f "$usual"

# as USER COMMAND...
as() {
	setpriv --reuid="$1" --regid="$1" --clear-groups env -u XDG_RUNTIME_DIR "${@:2}"
}
names() {
	as "$1" "$kmemblk" list "$device" | sed '1d; s/ .*//' | paste -sd' '
}
made=0
may() {
	made=$((made + 1))
	as "$1" "$kmemblk" create "${2:-$device}" v$made --size=1M > "$tmp/out" || fail "user $1 may not"
}
may_not() {
	expect_error 8 "$2" as "$1" "$kmemblk" create "$device" not --size=1M
	expect_error 8 "$2" as "$1" "$kmemblk" delete "$device" kmem0
	expect_error 8 "$2" as "$1" "$kmemblk" snapshot "$device" kmem0@not
}

chown $owner "$device"
chmod 644 "$device"
start_nbdkit "$device"
test "$(stat -c '%u %a' "$usual")" = "$owner 666" || fail "$(stat -c '%u %g %a' "$usual")"
may 0
may $owner
refused="control: $device: while it is being served, its volumes are changed by its owner \(user $owner\) and by root only: this is user $other"
may_not $other "$refused"
test "$(names $other)" = 'kmem0 v1 v2' || fail "$(names $other)"
# Who may not read the device any more does not find the server; who has its socket's name asks in vain.
stop_nbdkit
chmod 600 "$device"
start_nbdkit "$device"
test "$(stat -c '%u %a' "$usual")" = "$owner 600" || fail "$(stat -c '%u %g %a' "$usual")"
may_not $other "open: $device: Permission denied"
expect_error 8 "control: $usual: Permission denied" as $other "$kmemblk" list "$usual"
may $owner
stop_nbdkit

# Its group may read it.
chgrp $other "$device"
chmod 640 "$device"
start_nbdkit "$device"
test "$(stat -c '%u %g %a' "$usual")" = "$owner $other 660" || fail "$(stat -c '%u %g %a' "$usual")"
test "$(names $other)" = 'kmem0 v1 v2 v3' || fail "$(names $other)"
may_not $other "$refused"
stop_nbdkit

# It was made before root was given up, and is answered after that.
chmod 666 "$device"
rm -f "$usual"
nbdkit -u nobody -U "$tmp/nobody/nbd" -P "$tmp/nobody/pid" "$plugin" "$device" 2> "$tmp/err"
await_daemon "$tmp/nobody/pid"
cleanup_fn kill -9 "$pid"
test "$(stat -c %U /proc/"$pid")" = nobody || fail "it runs as $(stat -c %U /proc/"$pid")"
may 0
may $owner
may "$(id -u nobody)"
may_not $other "$refused"
kill "$pid"
gone() { ! kill -0 "$pid"; }
eventually gone
cleanup_done
# What it could not remove is no hindrance.
may $owner
rm -f "$usual"

# A user's own server, with a folder of his own and without one.
chmod 600 "$device"
mkdir -m 700 "$tmp/own"
chown $owner "$tmp/own"
XDG_RUNTIME_DIR=$tmp/own
setpriv --reuid=$owner --regid=$owner --clear-groups nbdkit -U "$tmp/own/nbd" -P "$tmp/own/pid" "$plugin" "$device" \
	2> "$tmp/err"
await_daemon "$tmp/own/pid"
cleanup_fn kill -9 "$pid"
own=$tmp/own/kmemblk/$(basename "$usual")
test "$(stat -c '%u %a' "$own" "$tmp/own/kmemblk" | paste -sd,)" = "$owner 600,$owner 700" || fail "$(ls -la "$tmp/own/kmemblk")"
setpriv --reuid=$owner --regid=$owner --clear-groups "$kmemblk" create "$device" own --size=1M > "$tmp/out"
may 0 "$own"
# Nobody finds it without his folder.
expect_error 8 "in use by process $pid \(nbdkit\); if it is a server, it has no socket $usual" \
	as 0 "$kmemblk" create "$device" not --size=1M
kill "$pid"
eventually gone
cleanup_done
rm -f "$tmp/own/nbd" "$tmp/own/pid"

expect_error 0 "warning: $device: its volumes cannot be changed while it is served: control: this user can make a socket neither in /run/kmemblk nor in \\\$XDG_RUNTIME_DIR/kmemblk \(see control=\)" \
	as $owner nbdkit -U - "$plugin" "$device" --run true
test "$(grep -c 'cannot be changed' "$tmp/expect.out")" -eq 1 || fail "not one warning: $(cat "$tmp/expect.out")"
as $owner nbdkit -U - "$plugin" "$device" control=none --run true 2> "$tmp/err"
! grep -q 'cannot be changed' "$tmp/err" || fail "$(cat "$tmp/err")"
check_device
