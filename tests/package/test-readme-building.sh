#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The README's first command and those of its section "Building", as they are printed there, from a fresh
# copy of the sources: they build, show what they promise, and what they install is found.  In a
# root of its own, so that nothing is installed on this machine.  Needs root.
#
# `make check` finds no tests to build and run here: it is what the others of this suite are about.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/readme.sh"

requires_attach
requires mkfs.ext4 -V
requires autoreconf --version

# Packages, where any is missing; what is built, installed, or cached.
in_scratch_root '.*'

# A clone has no more than this; a tree that was built in has, and a tarball no .git.
mkdir "$tmp/clone"
if git -c safe.directory='*' -C "$abs_top_srcdir" rev-parse --git-dir > /dev/null 2>&1; then
	git -c safe.directory='*' -C "$abs_top_srcdir" ls-files -z --cached --others --exclude-standard
else
	(cd "$abs_top_srcdir" && find . -name .git -prune -o ! -type d -print0)
fi > "$tmp/files"
tar -c -C "$abs_top_srcdir" --null --ignore-failed-read -T "$tmp/files" 2> "$tmp/tar.log" |
	tar -x -C "$tmp/clone"
# Its user is who builds.
chown -R --reference="$abs_top_srcdir" "$tmp/clone"
chmod 755 "$tmp"
cd "$tmp/clone"
test ! -e config.status || make distclean > "$tmp/distclean.log" 2>&1

# Where root needs no sudo there may be none.
command -v sudo > /dev/null || sudo() { "$@"; }

# type_line COMMAND
type_line() {
	echo "\$ $1"
	eval "$1" > "$tmp/out" 2>&1 || fail "README: $1: $(tail -n 30 "$tmp/out")"
}

jobs=$(nproc)
export MAKEFLAGS="-j$jobs -- TESTS= check_DATA= check_PROGRAMS= check_LTLIBRARIES="
unset MAKELEVEL MFLAGS MALLOC_PERTURB_ CDPATH

readme_section 'Two commands' | grep -v 'tests/run\.sh' | grep . > "$tmp/commands"
grep -q 'quickstart' "$tmp/commands" || fail "the README does not have the quickstart"
readme_section 'Building' | grep . >> "$tmp/commands"
grep -q 'make install' "$tmp/commands" || fail "the README does not say how to install"
mapfile -t commands < "$tmp/commands"
for command in "${commands[@]}"; do
	type_line "$command"
	case $command in
	*quickstart*)
		grep -q '^quickstart: done' "$tmp/out" || fail "quickstart: $(tail -n 5 "$tmp/out")"
		;;
	esac
done

# What the last comment promises.
cd /
hash -r
device=/dev/shm/installed.img
cleanup_fn rm -f $device
type_line "nbdkit -U - kmemblk $device create=8M --run 'nbdinfo --size \"\$uri\"'"
type_line "kmemblk info $device"
grep -q 'media  *tmpfs' "$tmp/out" || fail "kmemblk info: $(cat "$tmp/out")"
type_line "kmemblk run --help"
