#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The incremental backup of the manual, as it stands there, makes the copy of one snapshot that of the next.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires_root
requires nbdfuse --version
requires nbdcopy --version
requires qemu-io --version
requires test -e /dev/fuse
device d
format --create=64M
"$kmemblk" create "$device" vm1 --size=16M

mkdir "$tmp/bin" "$tmp/work"
ln -s "$kmemblk" "$tmp/bin/kmemblk"
sed -n '/^=head2 An incremental backup$/,/^=head2 From/s/^ //p' "$abs_top_srcdir/man/kmemblk.pod" |
	sed "s#nbdkit -r kmemblk #nbdkit -r $plugin #; s#/dev/dax0\.0#$device#g" > "$tmp/script"
grep -q '^umount snapshot$' "$tmp/script" || fail "no script in the manual"

# snapshot NAME COMMAND...: change the volume, and make the snapshot
snapshot() {
	local name=$1 commands=() command
	shift
	for command; do
		commands+=(-c "$command")
	done
	start_nbdkit "$device"
	qemu-io -f raw -d unmap "${commands[@]}" "nbd+unix:///vm1?socket=$socket" > "$tmp/qemu-io.log"
	stop_nbdkit
	"$kmemblk" snapshot "$device" "$name"
}

# copy NAME FILE: all of it
copy() {
	start_nbdkit -r "$device" readonly=true
	nbdcopy "nbd+unix:///$1?socket=$socket" "$2"
	stop_nbdkit
}

snapshot vm1@monday 'write -P 1 0 3M' 'write -P 2 5M 64k'
copy vm1@monday "$tmp/work/backup.img"
snapshot vm1@tuesday 'write -P 3 1M 100k' 'discard 5M 64k' 'write -P 4 15M 512'
copy vm1@tuesday "$tmp/tuesday"
! cmp -s "$tmp/work/backup.img" "$tmp/tuesday" || fail "nothing has changed"
cleanup_fn sh -c "umount '$tmp/work/snapshot' 2> /dev/null || true"
(cd "$tmp/work" && PATH=$tmp/bin:$PATH sh "$tmp/script" > "$tmp/script.log" 2>&1) ||
	fail "the script fails: $(cat "$tmp/script.log")"
cmp "$tmp/work/backup.img" "$tmp/tuesday"
# Only what changed was read and written.
test "$(grep -c data "$tmp/work/changes")" -eq 3 || fail "$(cat "$tmp/work/changes")"
