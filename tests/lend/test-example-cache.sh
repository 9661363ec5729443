#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The example cache finds its entries again after an end and after a kill, serves what is hot from
# borrowed pages, gives these up when new entries need them, and takes as many entries as blocks.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/free-pages.sh"

device disk
cache=$abs_top_builddir/examples/cache

# cache_is EXPECTED COMMANDS: one line an answer.
cache_is() {
	printf '%s\n' "$2" | "$cache" "$device" 16 > "$tmp/out" || fail "cache: $(cat "$tmp/out")"
	test "$(cat "$tmp/out")" = "$1" || fail "instead of '$1': $(cat "$tmp/out")"
}

# The number of that name in the last line of statistics.
stat_of() {
	grep '^keys=' "$tmp/out" | tail -n 1 | sed "s/.*\\b$1=\\([0-9]*\\).*/\\1/"
}

cache_is $'ok\nok\n= one\n= two and more\nnone' \
	$'set a one\nset b two and more\nget a\nget b\nget c'
cache_is $'= one\nok\n= three\nok\nnone\nnone' \
	$'get a\nset a three\nget a\ndel b\nget b\ndel b'
cache_is $'= three\nnone' $'get a\nget b'
cache_is '? set KEY VALUE, get KEY, del KEY, stats' 'nonsense'

# A thousand, each got twice: the second time from its copy.
for ((i = 0; i < 1000; i++)); do echo "set key$i value $i"; done > "$tmp/in"
for _ in 1 2; do
	for ((i = 0; i < 1000; i++)); do echo "get key$i"; done
done >> "$tmp/in"
echo stats >> "$tmp/in"
"$cache" "$device" < "$tmp/in" > "$tmp/out"
test "$(grep -c '^ok$' "$tmp/out")" -eq 1000
for ((i = 0; i < 1000; i++)); do
	test "$(grep -c "^= value $i\$" "$tmp/out")" -eq 2 || fail "key$i"
done
test "$(stat_of keys)" -eq 1001
test "$(stat_of lent)" -ge 1000 || fail "$(tail -n 1 "$tmp/out")"
test "$(stat_of hits)" -ge 1000

# Killed in the middle: what was answered is there.
# What it said before is gone: its file is made only when the cache has been started.
rm "$tmp/out"
mkfifo "$tmp/fifo"
"$cache" "$device" < "$tmp/fifo" > "$tmp/out" &
pid=$!
cleanup_fn end_process $pid
exec 3> "$tmp/fifo"
echo 'set last word' >&3
eventually grep -q ok "$tmp/out"
end_process "$pid" KILL
exec 3>&-
cache_is $'= word\n= value 500' $'get last\nget key500'

# Until the disk is full: no page may stay with the copies.
blocks=$(field blocks)
{
	for ((i = 0; i < 1000; i++)); do echo "get key$i"; done
	echo stats
	for ((i = 0; i < blocks; i++)); do echo "set more$i $i"; done
	echo stats
} > "$tmp/in"
"$cache" "$device" < "$tmp/in" > "$tmp/out"
test "$(grep -c '^ok$' "$tmp/out")" -eq $((blocks - 1002)) || fail "$(tail -n 3 "$tmp/out")"
test "$(grep -c '^full$' "$tmp/out")" -eq 1002
test "$(stat_of keys)" -eq "$blocks"
test "$(stat_of lent)" -eq 0
test "$(stat_of returned)" -ge 1000
cache_is $'= value 7\n= 0\n= three' $'get key7\nget more0\nget a'
check_device

expect_error 2 'usage: cache PATH' "$cache"
expect_error 1 'cache: .*[Nn]o such file' "$cache" "$tmp/none" < /dev/null
