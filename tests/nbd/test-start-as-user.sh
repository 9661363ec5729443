#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A server for another user, or with a limit on threads, that could not do what it is started for says so
# and does not start, also in the background.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires_root
requires setpriv --version
requires prlimit --version
# Where the other user finds it, too.
chmod 755 "$tmp"
cp -L "$plugin" "$tmp/kmemblk.so"
plugin=$tmp/kmemblk.so
# A folder that the other user can write, and a user that has no other process.
user=$((200000 + $$))
folder=$tmp/folder
mkdir "$folder"
chown $user "$folder"
device disk
"$kmemblk" format --create=64M "$device" > /dev/null

# What is lent is in a folder beside the device, which nobody may not make here.
private=/dev/shm/$test_name.$$.private
mkdir -m 0755 "$private"
cleanup_fn rm -rf "$private"
mv "$device" "$private/disk"
device=$private/disk
chmod 666 "$device"
# Which the other user cannot remove.
cleanup_fn rm -f "$(control_socket)"
for option in --threads=16 -f; do
	expect_error 1 "error: lend: $device.loans: cannot make this folder, .*type: install -d -m 0700 -o nobody $device.loans" \
		nbdkit $option -U "$tmp/nbd" -u nobody "$plugin" "$device" lend="$tmp/lend"
	rm -f "$tmp/nbd"
done
# Also with --run, where the child and the parent have one terminal: once.  And no name that is two words.
cp "$device" "$device b"
chmod 666 "$device b"
expect_error 1 "type: install -d -m 0700 -o nobody '$device b.loans'\$" \
	nbdkit -U - -u nobody "$plugin" "$device b" lend="$tmp/lend" --run true
test "$(grep -c 'cannot make this folder' "$tmp/expect.out")" -eq 1 || fail "not once: $(cat "$tmp/expect.out")"
rm -f "$tmp/lend"
# Without lend= it can serve; and the command that is named is the right one.
nbdkit -U - -u nobody "$plugin" "$device" --run true
install -d -m 0700 -o nobody "$device.loans"
nbdkit -U - -u nobody "$plugin" "$device" lend="$tmp/lend" lend-mode=0666 \
	--run "'$kmemblk' run --lend='$tmp/lend' --strict -- true"

# The command, the child in the background, and no thread more.
chown $user "$device"
limited() {
	setpriv --reuid=$user --clear-groups prlimit --nproc="$1" "${@:2}"
}
expect_error 1 "error: start: $device: cannot make the reclaimer thread: .*raise the limit on threads" \
	limited 2 nbdkit -U "$folder/nbd" "$plugin" "$device"
rm -f "$folder/nbd"

# -r comes after the device is opened for writing.
chown root "$device"
chmod 644 "$device"
expect_error 1 "$device: Permission denied: to serve it for reading only .*add readonly=true" \
	limited 9 nbdkit -r -U "$folder/nbd" "$plugin" "$device"
limited 20 nbdkit -r -U - "$plugin" "$device" readonly=true --run true
