#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each bad value of punch=, watermark=, headroom= and allocator= is refused with a message that names the
# parameter and tells what to type.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
export HOLDER=yields

# refuses PATTERN PARAMETER...
refuses() {
	local pattern=$1
	shift
	expect_error 1 "$pattern" try_nbdkit "$device" "$@"
}

for value in '' punch none 2; do
	refuses "punch=$value: type punch=true or punch=false" "punch=$value"
done
for value in '' much -1 1X 99999999999999999999; do
	refuses "watermark=$value: type a size, as in watermark=512M" "watermark=$value"
	refuses "headroom=$value: type a size, as in headroom=512M" "headroom=$value"
done
for value in % -1% 101% 5%% 1.5% x%; do
	refuses "headroom=$value: type a size or a percentage, as in headroom=5%" "headroom=$value"
done
refuses 'allocator=: type the path of a module: No such file' allocator=
refuses "allocator=$tmp/none.so: type the path of a module: No such file" "allocator=$tmp/none.so"
printf '%4096s' 'no shared object' > "$tmp/text.so"
refuses "allocator=$tmp/text.so: .*invalid ELF" "allocator=$tmp/text.so"
refuses 'not an allocator for this kmemblk, whose interface has version 1: see kmemblk-allocator.h' \
	"allocator=$modules/no-allocator.so"
refuses 'not an allocator for this kmemblk, whose interface has version 1' \
	"allocator=$modules/newer.so"
refuses 'a device has one, and that is .*holder.so' \
	"allocator=$modules/holder.so" "allocator=$modules/holder.so"
for parameter in punch=false watermark=1M headroom=1% "allocator=$modules/holder.so"; do
	refuses 'readonly=true has no free pages to give away: leave out punch=' \
		readonly=true "$parameter"
done
test ! -e "$device" || fail "a refused server made $device"

# These need the device to be there.
"$kmemblk" format --create=16M "$device"
refuses "$device: watermark and headroom are at most the [0-9]+ bytes of data pages" watermark=17M
refuses "$device: watermark and headroom are at most the [0-9]+ bytes of data pages" headroom=17M
HOLDER=fails refuses 'allocator=.*holder.so: cannot start: No such device' \
	"allocator=$modules/holder.so"

# And these are right, in the background also: the module is started in the process that serves.
for value in 0 0% 100% 15M; do
	start_nbdkit "$device" "headroom=$value" watermark=0 punch=true "allocator=$modules/holder.so"
	stop_nbdkit
	logged 'holder: borrowed' || fail "not started: $(log)"
done
nbdkit -U "$tmp/background" -P "$tmp/background.pid" "$plugin" "$device" \
	"allocator=$modules/holder.so"
await_daemon "$tmp/background.pid"
cleanup_fn kill "$pid" # nobody else ends it, so it is still that server
test "$(nbdinfo --size "nbd+unix:///?socket=$tmp/background")" -gt 0
