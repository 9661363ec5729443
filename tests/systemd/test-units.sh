#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# make install puts the services where it was told to, systemd finds no fault in them, and make
# uninstall takes them away again.  The user, the group and the folder that they name are made by
# what is installed with them.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires systemd-analyze --version
requires systemd-sysusers --version

unset MAKEFLAGS MAKELEVEL
make_systemd() {
	make -C "$abs_top_builddir/systemd" prefix=/usr systemdsystemunitdir=/units DESTDIR="$tmp/root" \
		"$1" > "$tmp/log" 2>&1 || fail "make $1: $(cat "$tmp/log")"
}

make_systemd install
test "$(ls "$tmp/root/units")" = "kmemblk-attach@.service
kmemblk@.service
kmemblk@.socket" || fail "installed: $(ls "$tmp/root/units")"

# Of settings that it does not know it only warns.  What it says of the machine's own units is not
# the matter here.
export SYSTEMD_LOG_TARGET=console
systemd-analyze verify --man=no --recursive-errors=no "$tmp/root/units"/* > "$tmp/verify" 2>&1 ||
	fail "systemd-analyze verify: $(cat "$tmp/verify")"
if grep -q kmemblk "$tmp/verify"; then
	fail "systemd-analyze verify: $(cat "$tmp/verify")"
fi

mkdir -p "$tmp/root/etc"
systemd-sysusers --dry-run --root="$tmp/root" > "$tmp/sysusers" 2>&1 ||
	fail "systemd-sysusers: $(cat "$tmp/sysusers")"
user=$(sed -n 's/^User=//p' "$tmp/root/units/kmemblk@.service")
grep -qi "creating user '*$user'* " "$tmp/sysusers" || fail "no user $user: $(cat "$tmp/sysusers")"
group=$(sed -n 's/^Group=//p' "$tmp/root/units/kmemblk@.service")
grep -q "GROUP=\"$group\"" "$tmp/root/usr/lib/udev/rules.d/60-kmemblk.rules" ||
	fail "the rule of udev does not give devices to the group $group"

make_systemd uninstall
left=$(find "$tmp/root/usr" "$tmp/root/units" -type f)
test -z "$left" || fail "left behind: $left"
