#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each parameter's bad values are refused with a message that names the parameter and tells what to
# type; nothing is made or changed.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

device disk

# refuses PATTERN PARAMETER...
refuses() {
	local pattern=$1
	shift
	expect_error 1 "$pattern" try_nbdkit "$@"
}

refuses 'path= is missing: .* path=/dev/dax0\.0'
refuses "path=$tmp/second: a server serves one device, and that is $device" "$device" "$tmp/second"

for size in 1X none '' -1 0; do
	refuses "create=$size: type a size that is a multiple of 4096 bytes, as in create=1G" \
		"$device" "create=$size"
done
refuses 'create=4097: type a size that is a multiple of 4096' "$device" create=4097
refuses "create=99999999999999999999: type a size" "$device" create=99999999999999999999
refuses "$device" "$device" create=4096 # too small to hold anything
refuses 'readonly=true makes no file: leave out create= or readonly=' \
	"$device" create=16M readonly=true

refuses 'readonly=maybe: type readonly=true or readonly=false' "$device" readonly=maybe

for node in near -1 1.5 99999999999; do
	refuses "numa=$node: type numa=auto, numa=off or a node, as in numa=0" "$device" "numa=$node"
done
refuses 'numa=4095: this process has no such node: type numa=auto' "$device" numa=4095

for model in '' serial 16 Parallel; do
	refuses "thread-model=$model: type thread-model=auto, thread-model=requests or thread-model=parallel" \
		"$device" "thread-model=$model"
done

refuses 'unknown parameter size=: see nbdkit kmemblk --help' "$device" size=1G

test ! -e "$device" || fail "a refused server made $device"

refuses "$device: .*; or add create=1G, for example" "$device"
refuses "$tmp/no/such/folder/disk" "$tmp/no/such/folder/disk" create=16M

truncate -s 16M "$device"
refuses "$device: .*kmemblk format" "$device"
refuses "$device: .*kmemblk format" "$device" create=16M
cmp -n 16777216 "$device" /dev/zero || fail "a refused server wrote to $device"
