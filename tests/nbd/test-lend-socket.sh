#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# lend=PATH replaces the socket of a server that has ended, and nothing else: not a file, not the device
# itself.  The socket is removed when the server ends, also when nbdkit fails in its start; the process
# that goes to the background does not remove it.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

device disk
"$kmemblk" format --create=16M "$device" > /dev/null
lend=$tmp/lend

# refused WHAT PATH: and what is there stays as it is.
refused() {
	local before what='%i %f %s %Y'
	# The server has the device itself open for writing, which sets its time; its sum is compared below.
	test "$2" != "$device" || what='%i %f %s'
	before=$(stat -c "$what" "$2")
	expect_error 1 "lend: $2: $1 is there, not a socket: choose another name" \
		nbdkit -U "$tmp/nbd" "$plugin" "$device" lend="$2"
	test "$(stat -c "$what" "$2")" = "$before" || fail "$2 has changed"
}
sum=$(sha256sum < "$device")
refused 'a regular file' "$device"
test "$(sha256sum < "$device")" = "$sum" || fail "the device has changed"
check_device
echo thesis > "$tmp/thesis.txt"
refused 'a regular file' "$tmp/thesis.txt"
test "$(cat "$tmp/thesis.txt")" = thesis
mkfifo "$tmp/fifo"
refused 'a FIFO' "$tmp/fifo"
mkdir "$tmp/folder"
refused 'a folder' "$tmp/folder"
ln -s "$lend" "$tmp/link"
expect_error 1 "lend: $tmp/link: a symbolic link is there" \
	nbdkit -U "$tmp/nbd" "$plugin" "$device" lend="$tmp/link"
test -L "$tmp/link" || fail "the link is gone"

# A server that was killed leaves its socket; the next one takes the place, and no other server does.
start_nbdkit "$device" lend="$lend" lend-mode=0620
end_process "$server" KILL
test -S "$lend" || fail "no socket"
inode=$(stat -c %i "$lend")
start_nbdkit "$device" lend="$lend" lend-mode=0620
test "$(stat -c %a "$lend")" = 620 || fail "mode $(stat -c %a "$lend")"
test "$(stat -c %i "$lend")" != "$inode" || fail "the dead socket is still there"
"$kmemblk" stat "$lend" > /dev/null
disk=$device
device other
expect_error 1 "lend: $lend: in use by another server: choose another name" \
	nbdkit -U "$tmp/nbd" "$plugin" "$device" create=16M lend="$lend"
device=$disk
"$kmemblk" stat "$lend" > /dev/null || fail "the first server has lost its socket"
# What has taken its place is not removed with it.
rm "$lend"
echo another > "$lend"
stop_nbdkit
test "$(cat "$lend")" = another || fail "the server removed what is not its own"
rm "$lend"

# The start fails when the socket is there already: the NBD socket's name is taken.
touch "$tmp/taken"
for option in --threads=16 -f; do
	expect_error 1 'Address already in use' \
		nbdkit $option -U "$tmp/taken" "$plugin" "$device" lend="$lend"
	test ! -e "$lend" || fail "a start that failed has left its socket"
done

# In the background: the command ends, and the socket stays until the server does.
nbdkit -U "$tmp/nbd" -P "$tmp/pid" "$plugin" "$device" lend="$lend"
await_daemon "$tmp/pid"
cleanup_fn kill -9 "$pid"
"$kmemblk" stat "$lend" > /dev/null || fail "the command's end has removed the socket"
kill "$pid"
while test -e "$lend"; do
	kill -0 "$pid" 2> /dev/null || break
	sleep 0.05
done
test ! -e "$lend" || fail "the server has left its socket"
cleanup_done
rm -f "$tmp/nbd" "$tmp/pid"

# And with --run, also if the command fails.
status=0
nbdkit -U - "$plugin" "$device" lend="$lend" --run "'$kmemblk' stat '$lend' > '$tmp/stat' && exit 3" || status=$?
test $status -eq 3 || fail "status $status of --run"
grep -q 'lends from' "$tmp/stat" || fail "not served under --run"
test ! -e "$lend" || fail "the server has left its socket after --run"
test -z "$(find "$tmp" -name '.kmemblk*')" || fail "a private folder is left"
