#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What format says to type next is right as it stands: it serves the device, whatever its name.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires nbdkit --version
cd "$tmp"

# serves NAME: the line that format prints makes a server of the build's plugin.
serves() {
	local line
	status 0 "$kmemblk" format --create=1M "$1"
	line=$(sed -n 's/^Serve it:  //p' out)
	eval "${line/nbdkit /nbdkit -U - -r --run true }" || fail "does not work: $line"
}
ln -s "$plugin" kmemblk.so
serves plain.img
grep -q '^Serve it:  nbdkit ./kmemblk.so plain.img$' out || fail "not the build's plugin: $(cat out)"
serves 'with space.img'
serves "it's.img"
serves 'a=b.img'

# Without a plugin in the current folder, the installed one.
mkdir elsewhere
cd elsewhere
status 0 "$kmemblk" format --create=1M "$tmp/d"
says out "^Serve it:  nbdkit kmemblk $tmp/d$"
