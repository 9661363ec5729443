#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# grow makes all of a file that has become larger free for its volumes, whose data stay; and a growth that was
# killed anywhere is finished by grow, or by check --repair.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"
. "$abs_top_srcdir/tests/common/volumes.sh"

requires nbdkit --version
device d
format --create=16M --size=6M
put kmem0 1 0:6M
"$kmemblk" snapshot "$device" kmem0@a > "$tmp/out"
put kmem0 2 0:64k

holds_all() {
	holds kmem0 2 0:64k
	holds kmem0 1 64k:6080k
	holds kmem0@a 1 0:6M
}

# Nothing to do.
status 0 "$kmemblk" grow "$device"
silent err
says out "^$device: nothing to do: the device has 4096 pages, and the format uses 4096 \(16\.0 MiB\)$"

# In use, or smaller: nothing is changed.
truncate -s 40M "$device"
start_nbdkit "$device"
status 8 "$kmemblk" grow "$device"
silent out
says err "^kmemblk: claim: $device: in use by process [0-9]+ \(nbdkit\)"
stop_nbdkit
cp --sparse=always "$device" "$tmp/larger"
truncate -s 15M "$device"
status 8 "$kmemblk" grow "$device"
says err "^kmemblk: open: $device: superblock: made for 4096 pages, but the device has only 3840: it was cut short;"
cp --sparse=always "$tmp/larger" "$device"

# What check says before, and the words of the command.
status 0 "$kmemblk" check "$device"
says out "^note: the device has 10240 pages, of which the format uses 4096; to use all, type: kmemblk grow $device$"
status 0 "$kmemblk" grow "$device"
silent err
says out "^$device: grown from 16\.0 MiB \(4096 pages\) to 40\.0 MiB \(10240 pages\)$"
command=$(sed -n 's/^To make a volume larger:  //p' "$tmp/out")
test "$command" = "kmemblk resize $device NAME --size=SIZE" || fail "proposes: $command"
check_device
grep -q '^note: the device has' "$tmp/check.log" && fail "$(cat "$tmp/check.log")"
holds_all
cp --sparse=always "$device" "$tmp/grown"

# There is room now for what there was none before.
put kmem0 3 64k:5M
status 0 "$kmemblk" resize "$device" kmem0 --size=16M
put kmem0 4 6M:10M
holds kmem0 3 64k:5M
holds kmem0 4 6M:10M
holds kmem0@a 1 0:6M
check_device

# Killed when it had done so much: the copy at the new end; and the one at the old end cleared.
part() {
	dd if="$tmp/grown" of="$device" bs=4096 skip="$1" seek="$1" count=1 conv=notrunc status=none
}

half_grown() {
	local page
	cp --sparse=always "$tmp/larger" "$device"
	for page; do
		part "$page"
	done
}

for steps in 10239 '10239 4095'; do
	# shellcheck disable=SC2086
	half_grown $steps
	status 4 "$kmemblk" check "$device"
	says out "^correctable: superblock \(page 0\): the growth of the device from 4096 pages to 10240 was cut; add --repair to finish it, or type: kmemblk grow $device$"
	holds_all
	status 0 "$kmemblk" grow "$device"
	says out "grown from 16\.0 MiB \(4096 pages\) to 40\.0 MiB \(10240 pages\)$"
	check_device
	cmp "$device" "$tmp/grown" || fail "grow has not finished what has $steps"
	# shellcheck disable=SC2086
	half_grown $steps
	status 1 "$kmemblk" check --repair "$device"
	says out '^corrected: superblock \(page 0\): the growth of the device from 4096 pages to 10240 was cut; finished$'
	cmp "$device" "$tmp/grown" || fail "check --repair has not finished what has $steps"
done

# Within the primary: its checksum, and one of its size and generation.
for words in '' 48 80; do
	half_grown 10239 4095
	for at in 4088 $words; do
		dd if="$tmp/grown" of="$device" bs=8 skip=$((at / 8)) seek=$((at / 8)) count=1 conv=notrunc \
			status=none
	done
	holds_all
	status 4 "$kmemblk" check "$device"
	says out '^correctable: superblock \(page 0\): wrong checksum; the copy is whole: add --repair'
	status 0 "$kmemblk" grow "$device"
	says out "^$device: finished a growth to 40\.0 MiB \(10240 pages\) that was cut$"
	check_device
	cmp "$device" "$tmp/grown" || fail "grow has not finished the primary"
done

# A process that is ended in it, at some time.
for i in {1..20}; do
	cp --sparse=always "$tmp/larger" "$device"
	"$kmemblk" grow "$device" > "$tmp/out" 2>&1 &
	test $((i % 2)) -eq 0 || sleep "0.00$i"
	kill -KILL $! 2> "$tmp/kill" || true
	wait $! 2> "$tmp/wait" || true
	"$kmemblk" check "$device" > "$tmp/out" || test $? -eq 4 || fail "$(cat "$tmp/out")"
	status 0 "$kmemblk" grow "$device"
	cmp "$device" "$tmp/grown" || fail "try $i: grow has not finished"
done
holds_all

# Not a device, and the command line.
truncate -s 1M "$tmp/empty"
status 8 "$kmemblk" grow "$tmp/empty"
says err "^kmemblk: open: $tmp/empty: not a kmemblk device, and all zeroes"
status 16 "$kmemblk" grow
says err 'PATH is missing'
status 16 "$kmemblk" grow "$device" "$device"
says err "one PATH at a time"
status 16 "$kmemblk" grow --json "$device"
says err "unrecognized option '--json'"

# Of type none, all is memory to lend.
rm "$device"
format --create=1M --type=none
truncate -s 2M "$device"
status 0 "$kmemblk" grow "$device"
says out "grown from 1\.0 MiB \(256 pages\) to 2\.0 MiB \(512 pages\)$"
status 0 "$kmemblk" info --json "$device"
json_is 'j["pages_free"]' 510
