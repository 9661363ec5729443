#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A program that knows only pkg-config's answer compiles, links and runs with what was installed.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

# A sanitized library wants a sanitized program.
nm -D "$abs_top_builddir/lib/.libs/libkmemblk.so" > "$tmp/symbols"
if grep -qE '__(asan|tsan)_init' "$tmp/symbols"; then
	skip "this build has a sanitizer"
fi
requires pkg-config --version

unset MAKEFLAGS MAKELEVEL
root=$tmp/root
for folder in lib .; do
	make -C "$abs_top_builddir/$folder" SUBDIRS= DESTDIR="$root" install > "$tmp/install.log" 2>&1 ||
		fail "make install: $(cat "$tmp/install.log")"
done

pc=$(find "$root" -name libkmemblk.pc)
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$root
cat > "$tmp/user.c" << 'END'
#include <stdio.h>
#include <kmemblk.h>

int main(void)
{
	struct kmemblk_info info;

	puts(kmemblk_version());
	return kmemblk_probe("/dev/null", &info) < 0 && kmemblk_error()[0] ? 0 : 1;
}
END
# shellcheck disable=SC2046
"${CC:-cc}" -Wall -Werror -o "$tmp/user" "$tmp/user.c" $(pkg-config --cflags --libs libkmemblk) ||
	fail "does not compile"
library=$(find "$root" -name libkmemblk.so)
version=$(LD_LIBRARY_PATH=${library%/*} "$tmp/user") || fail "does not run"
test "$version" = "$(pkg-config --modversion libkmemblk)" || fail "library says $version"
