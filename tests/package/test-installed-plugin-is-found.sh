#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# make install puts the plugin, under the name that `nbdkit kmemblk` looks for, into the folder that
# was configured, with no libtool file beside it, and make uninstall takes it away again.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

unset MAKEFLAGS MAKELEVEL
make -C "$abs_top_builddir/plugin" plugindir=/plugins DESTDIR="$tmp" install > "$tmp/log" 2>&1 ||
	fail "make install: $(cat "$tmp/log")"
test "$(ls "$tmp/plugins")" = nbdkit-kmemblk-plugin.so || fail "installed: $(ls "$tmp/plugins")"
nbdkit --dump-plugin "$tmp/plugins/nbdkit-kmemblk-plugin.so" > "$tmp/dump" ||
	fail "nbdkit does not load it"
grep -qx 'name=kmemblk' "$tmp/dump" || fail "loaded as something else: $(cat "$tmp/dump")"

make -C "$abs_top_builddir/plugin" plugindir=/plugins DESTDIR="$tmp" uninstall > "$tmp/log" 2>&1 ||
	fail "make uninstall: $(cat "$tmp/log")"
test -z "$(ls "$tmp/plugins")" || fail "left behind: $(ls "$tmp/plugins")"
