#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --views sets how many volumes there is room for, in steps of 512; what is too much is refused by its name, and a
# full directory names the option.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

device d
# pages N OPTION...: so many pages are superblocks and directories.
pages() {
	local wanted=$1
	shift
	rm -f "$device"
	format --create=16M "$@"
	status 0 "$kmemblk" info --json "$device"
	json_is 'j["device_pages"] - j["data_pages"]' "$wanted"
	status 0 "$kmemblk" check "$device"
}
pages 4
pages 4 --views=1
pages 4 --views=512
pages 6 --views=513
pages 6 --views=513 --prealloc
pages 258 --views=65536

for views in 65537 18446744073709551615; do
	status 8 "$kmemblk" format --force --views=$views "$device"
	says err "^kmemblk: format: $device: --views=$views: there can be at most 65536$"
done
rm "$device"
status 8 "$kmemblk" format --create=2M --views=20000 "$device"
says err "^kmemblk: format: $device: --views=20000: two directories of 40 pages are more than an eighth of the device, \
which has 512; at most 16384 views do$"
test ! -e "$device" || fail "the file was made"
status 8 "$kmemblk" format --create=2M --type=none --views=1 "$device"
says err 'type none has no disk: give no views$'

format --create=8M
for ((i = 1; i < 512; i++)); do
	"$kmemblk" create "$device" "v$i" --size=1M || fail "volume $i"
done
status 8 "$kmemblk" create "$device" more --size=1M
says err "^kmemblk: create: $device: its directory is full: it has room for 512 volumes and snapshots; kmemblk format --views= makes \
more, and what the device holds is lost by that$"
