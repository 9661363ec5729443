#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A device that another user serves is served, also for who cannot see the server: info says so and
# what root types, check says the same; root sees the process.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires_root
requires nbdkit --version
device d
format --create=16M
chmod 666 "$device"
start_nbdkit "$device"

# The build folder need not be open to everybody: the command is run from a copy.
chmod 755 "$tmp"
folder=$tmp/tools
mkdir "$folder"
libtool=$abs_top_builddir/libtool
cp "$kmemblk" "$folder/kmemblk"
"$libtool" --mode=execute cp "$kmemblk-commands" "$folder/kmemblk-commands"
"$libtool" --mode=execute ldd "$kmemblk-commands" |
	sed -nE "s#^.*=> ($abs_top_builddir/[^ ]*) .*#\1#p" | xargs -r cp -t "$folder"
as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups
	env LD_LIBRARY_PATH="$folder" "$folder/kmemblk")
"${as_nobody[@]}" --version > "$tmp/out" || skip "nobody cannot run a program in $tmp"

status 0 "${as_nobody[@]}" info "$device"
says out "^  served by +another process, which this user cannot see; as root: kmemblk info $device$"
status 0 "${as_nobody[@]}" info --json "$device"
json_is 'j["served_by"]' "{'pid': None, 'name': None}"
json_is 'j["pages_lent"]' None
status 8 "${as_nobody[@]}" check "$device"
says err "in use by another process, which this user cannot see; .*as root, type: kmemblk info $device"

status 0 "$kmemblk" info --json "$device"
json_is 'j["served_by"]["pid"]' "$server"
stop_nbdkit
status 0 "${as_nobody[@]}" info --json "$device"
json_is 'j["served_by"]' None
