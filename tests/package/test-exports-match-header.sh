#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# libkmemblk.so exports the calls of kmemblk.h and nothing else; the plugin exports its entry point.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

exports() {
	nm -D --defined-only "$1" | awk '$2 ~ /[TDBRW]/ { sub(/@.*/, "", $3); print $3 }' | sort
}

# A call is declared in column 0, its name before the first parenthesis; types end in _fn.
grep -hE '^[a-z].*[ *]kmemblk_[a-z_]+\(' "$abs_top_srcdir"/include/kmemblk{,-borrower,-control,-volume}.h |
	grep -v '^typedef' | sed -E 's/.*[ *](kmemblk_[a-z_]+)\(.*/\1/' | sort > "$tmp/header"
test "$(wc -l < "$tmp/header")" -ge 15 || fail "calls of the header not found"

exports "$abs_top_builddir/lib/.libs/libkmemblk.so" > "$tmp/library"
diff -u "$tmp/header" "$tmp/library" || fail "kmemblk.h (-) and libkmemblk.so (+) differ"

echo plugin_init > "$tmp/expected"
exports "$plugin" > "$tmp/plugin"
diff -u "$tmp/expected" "$tmp/plugin" || fail "the plugin exports something else"

readelf -d "$abs_top_builddir/lib/.libs/libkmemblk.so" > "$tmp/dynamic"
grep -q 'SONAME.*libkmemblk\.so\.0' "$tmp/dynamic" || fail "no soname"
