#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The figures in README.md and docs/performance.md are those of docs/performance.json; one that was changed by
# hand is found.  And bench.py makes such a file, whatever the figures in it are.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires python3 --version
export PYTHONDONTWRITEBYTECODE=1

"$abs_top_srcdir/bench/report.py" --check || fail 'the documents say other figures'

mkdir -p "$tmp/tree/docs"
cp -r "$abs_top_srcdir/bench" "$abs_top_srcdir/README.md" "$tmp/tree/"
cp "$abs_top_srcdir/docs/performance".* "$tmp/tree/docs/"
chmod -R u+w "$tmp/tree"
sed -i 's/^| 4 KiB read, depth 32 .*/| 4 KiB read, depth 32 | 1,000,000 |/' "$tmp/tree/README.md"
if "$tmp/tree/bench/report.py" --check > "$tmp/check"; then
	fail 'a figure that nobody measured is not found'
fi
grep -q 'README.md: its figures are not those of' "$tmp/check" || fail "$(cat "$tmp/check")"

make -s -C "$abs_top_builddir/bench" stream > "$tmp/make" 2>&1 || fail "$(cat "$tmp/make")"
abs_top_builddir=$abs_top_builddir "$abs_top_srcdir/bench/bench.py" --quick --output="$tmp/bench.json" stream \
	> "$tmp/tables"
grep -qE '^\| 64 MiB, 1 MiB in order \| +checked read \| +[0-9]' "$tmp/tables" ||
	fail "no table: $(cat "$tmp/tables")"
