#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# diff tells what changed between two snapshots: a copy of the first to which only that is done is the second, byte for
# byte.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires nbdcopy --version
requires qemu-io --version
device d
format --create=64M

# change COMMAND...: qemu-io's, on the volume vm1
change() {
	local commands=() command
	for command; do
		commands+=(-c "$command")
	done
	start_nbdkit "$device"
	qemu-io -f raw -d unmap "${commands[@]}" "nbd+unix:///vm1?socket=$socket" > "$tmp/qemu-io.log"
	stop_nbdkit
}

# copy NAME: all of a view into $tmp/NAME
copy() {
	start_nbdkit -r "$device" readonly=true
	nbdcopy "nbd+unix:///$1?socket=$socket" "$tmp/$1"
	stop_nbdkit
}

# lines FROM TO LINE...: these ranges and this sum, beside the heading
lines() {
	local from=$1 to=$2
	shift 2
	status 0 "$kmemblk" diff "$device" "$from" "$to"
	silent err
	test "$(tail -n +2 "$tmp/out" | tr -s ' ' | sed 's/^ //')" = "$(printf '%s\n' "$@")" ||
		fail "$from $to: $(cat "$tmp/out")"
}

# bring_up FROM TO: what the manual has, on copies
bring_up() {
	cp "$tmp/$1" "$tmp/copy"
	truncate --reference="$tmp/$2" "$tmp/copy"
	"$kmemblk" diff "$device" "$1" "$2" > "$tmp/changes"
	while read -r offset length kind; do
		case $kind in
		data)
			dd if="$tmp/$2" of="$tmp/copy" bs=1M conv=notrunc status=none \
				iflag=fullblock,skip_bytes,count_bytes oflag=seek_bytes \
				skip="$offset" seek="$offset" count="$length"
			;;
		zero)
			fallocate --punch-hole --offset "$offset" --length "$length" "$tmp/copy"
			;;
		esac
	done < "$tmp/changes"
	cmp "$tmp/copy" "$tmp/$2" || fail "$1 and what diff tells are not $2"
}

"$kmemblk" create "$device" vm1 --size=8M
change 'write -P 1 0 3M' 'write -P 2 5M 64k'
"$kmemblk" snapshot "$device" vm1@monday
change 'write -P 3 1M 100k' 'write -z -u 2M 8k' 'discard 5M 64k' 'write -P 4 6M 512'
"$kmemblk" snapshot "$device" vm1@tuesday
"$kmemblk" resize "$device" vm1 --size=16M
change 'write -P 5 15M 4k' 'write -P 6 1M 4k'
"$kmemblk" snapshot "$device" vm1@wednesday
"$kmemblk" clone "$device" vm1@monday other

lines vm1@monday vm1@tuesday '1048576 102400 data' '2097152 8192 zero' '5242880 65536 zero' \
	'6291456 4096 data' '4 ranges: 104 KiB of data, 72 KiB of zeroes'
lines vm1@tuesday vm1@tuesday '0 ranges: 0 KiB of data, 0 KiB of zeroes'
lines vm1@tuesday vm1@wednesday '1048576 4096 data' '15728640 4096 data' \
	'2 ranges: 8 KiB of data, 0 KiB of zeroes'
lines vm1@monday other '0 ranges: 0 KiB of data, 0 KiB of zeroes'
for name in vm1@monday vm1@tuesday vm1@wednesday; do
	copy $name
done
bring_up vm1@monday vm1@tuesday
bring_up vm1@tuesday vm1@wednesday
bring_up vm1@monday vm1@wednesday
bring_up vm1@wednesday vm1@monday

# All that one has.
status 0 "$kmemblk" diff "$device" vm1@monday
says out '^ +0 +3145728  data$'
says out '^2 ranges: 3.1 MiB of data, 0 KiB of zeroes$'

status 0 "$kmemblk" diff --json "$device" vm1@monday vm1@tuesday
silent err
json_is 'sorted(j)' "['data_bytes', 'from', 'path', 'ranges', 'size_bytes', 'to', 'zero_bytes']"
json_is 'j["path"], j["from"], j["to"]' "('$device', 'vm1@monday', 'vm1@tuesday')"
json_is 'j["size_bytes"], j["data_bytes"], j["zero_bytes"]' "($((8 << 20)), 106496, 73728)"
json_is '[(r["offset"], r["length"], r["zero"]) for r in j["ranges"]]' \
	'[(1048576, 102400, False), (2097152, 8192, True), (5242880, 65536, True), (6291456, 4096, False)]'
json_is 'set(map(len, j["ranges"]))' '{3}'
status 0 "$kmemblk" diff --json "$device" vm1@tuesday
json_is 'j["from"], j["zero_bytes"]' '(None, 0)'

status 8 "$kmemblk" diff "$device" vm1@sunday vm1@tuesday
says err "^kmemblk: open: $device: there is no snapshot vm1@sunday; there are: .*vm1@monday"
silent out
status 8 "$kmemblk" diff "$device" vm1@monday nothing
says err "there is no volume nothing;"
status 8 "$kmemblk" diff "$device" vm1@monday kmem0
says err "^kmemblk: diff: $device: vm1@monday and kmem0 have nothing in common: .*kmemblk list $device\$"
silent out
status 16 "$kmemblk" diff "$device"
says err "is missing after '$device'; to see them, type: kmemblk list"
status 16 "$kmemblk" diff
says err 'PATH is missing'
status 16 "$kmemblk" diff "$device" a b c
says err "'c' is one too many"

# Beside a server that only reads, not beside one that writes.
start_nbdkit -r "$device" readonly=true
lines vm1@tuesday vm1@wednesday '1048576 4096 data' '15728640 4096 data' \
	'2 ranges: 8 KiB of data, 0 KiB of zeroes'
stop_nbdkit
start_nbdkit "$device"
status 8 "$kmemblk" diff "$device" vm1@monday vm1@tuesday
says err "^kmemblk: claim: $device: in use by process $server \(nbdkit\)\$"
stop_nbdkit
check_device
