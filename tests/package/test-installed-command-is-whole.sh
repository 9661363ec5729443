#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# make install puts both executables of the command where the one looks for the other, make uninstall
# takes both away, and the one that has `run` links nothing but libc.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

unset MAKEFLAGS MAKELEVEL
root=$tmp/root
bin=$root/programs
commands=/parts/kmemblk-commands
# The second is linked anew for its place, with the library in its own.
for folder in lib tools; do
	make -C "$abs_top_builddir/$folder" bindir=/programs pkglibexecdir=/parts DESTDIR="$root" install \
		> "$tmp/log" 2>&1 || fail "make install: $(cat "$tmp/log")"
done
test "$(ls "$bin")" = kmemblk || fail "installed: $(ls "$bin")"
test "$(ls "$root/parts")" = kmemblk-commands || fail "installed: $(ls "$root/parts")"

# Away from its place, `run` and the help are there, and what is missing is named.
"$bin/kmemblk" --help > "$tmp/out"
"$bin/kmemblk" run --help > "$tmp/out"
expect_error 8 '^kmemblk: /.*/kmemblk-commands: No such file or directory; is kmemblk installed as a whole' \
	"$bin/kmemblk" info "$tmp"
# It is no command by itself.
library=$(find "$root" -name 'libkmemblk.so.0')
export LD_LIBRARY_PATH=${library%/*}
expect_error 16 'a part of the kmemblk command' "$root$commands"
expect_error 16 'a part of the kmemblk command' "$root$commands" run

nm -D "$bin/kmemblk" > "$tmp/symbols"
if ! grep -qE '__(asan|tsan)_init' "$tmp/symbols"; then
	readelf -d "$bin/kmemblk" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' > "$tmp/needed"
	test "$(cat "$tmp/needed")" = libc.so.6 || fail "it links: $(cat "$tmp/needed")"
fi

make -C "$abs_top_builddir/tools" bindir=/programs pkglibexecdir=/parts DESTDIR="$root" uninstall \
	> "$tmp/log" 2>&1 || fail "make uninstall: $(cat "$tmp/log")"
test -z "$(ls "$bin")$(ls "$root/parts")" || fail "left behind: $(ls "$bin" "$root/parts")"
