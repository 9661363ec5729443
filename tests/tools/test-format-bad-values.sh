#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each wrong value of an option is refused with a sentence that names it, before anything is made.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
# bad STATUS MESSAGE OPTION...
bad() {
	local want=$1 message=$2
	shift 2
	status "$want" "$kmemblk" format "$@" "$device"
	silent out
	says err "$message"
	test ! -e "$device" || fail "the file was made: $*"
}

for option in --create --size; do
	bad 16 "^kmemblk format: $option=: not a size" $option=
	bad 16 "^kmemblk format: $option=x: not a size" $option=x
	bad 16 "^kmemblk format: $option=-1: not a size" $option=-1
	bad 16 "^kmemblk format: $option=1.5G: not a size" $option=1.5G
	bad 16 "^kmemblk format: $option=1GB: not a size" $option=1GB
	bad 16 "^kmemblk format: $option= 1G: not a size" "$option= 1G"
	bad 16 "^kmemblk format: $option=0: must be larger than 0" $option=0
	bad 16 "^kmemblk format: $option=4097: must be a multiple of 4096" $option=4097
	bad 16 "^kmemblk format: $option=1K: must be a multiple of 4096" $option=1K
	bad 16 "^kmemblk format: $option=8388608T: too large" $option=8388608T
	bad 16 "^kmemblk format: $option=18446744073709551616: too large" \
		$option=18446744073709551616
	status 16 "$kmemblk" format $option
	says err "option '$option' requires an argument"
done
for option in spare:pages views:volumes; do
	what=${option#*:}
	option=--${option%:*}
	for value in 0 -1 1K '' 18446744073709551616; do
		bad 16 "^kmemblk format: $option=$value: not a number of $what: write 1 or more" \
			"$option=$value"
	done
done
bad 16 "unrecognized option '--bogus'" --bogus
bad 16 "one PATH at a time" "$device.other"

bad 8 '^kmemblk: .*bogus.*blk' --create=16M --type=bogus
bad 8 '^kmemblk: .*none' --create=16M --type=none --size=1M
bad 8 "^kmemblk: .*$device" --create=16M --spare=4096
bad 8 '^kmemblk: .*no such file' --label=x
