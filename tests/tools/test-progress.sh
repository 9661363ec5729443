#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What takes over a second shows a bar on a terminal, wiped at its end, and nothing where there
# is no terminal.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

requires script --version
clock=$abs_top_builddir/tests/tools/.libs/fast-clock.so
test -e "$clock" || fail "not built: $clock"
# The sanitizers want to be first among the preloaded; they need not be for this.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0"
device d
printf -v words '%q ' env LD_PRELOAD="$clock" "$kmemblk"

# long WORD ARGUMENT...: a bar after WORD on a terminal.
long() {
	local word=$1 quoted
	shift
	printf -v quoted '%q ' "$@"
	script -qec "$words$quoted" "$tmp/typescript" > "$tmp/out" < /dev/null ||
		fail "status $?: $(cat "$tmp/out")"
	tr '\r' '\n' < "$tmp/out" > "$tmp/lines"
	grep -qE "^$word +\[#*-*\] +[0-9]+ %, +[0-9]+ s left" "$tmp/lines" ||
		fail "no bar: $(cat -v "$tmp/out")"
	# Wiped: the last bar is followed by a line of spaces, and the summary stands alone.
	grep -qE '^ {79}$' "$tmp/lines" || fail "not wiped: $(cat -v "$tmp/out")"
	grep -qE "^$device: " "$tmp/lines" || fail "no summary: $(cat -v "$tmp/out")"
}
long format format --create=64M --prealloc "$device"
long check check "$device"

status 0 env LD_PRELOAD="$clock" "$kmemblk" format --force --prealloc "$device"
silent err
status 0 env LD_PRELOAD="$clock" "$kmemblk" check "$device"
silent err
