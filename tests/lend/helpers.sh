# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
#
# What the tests of lending share, beyond tests/functions.sh:
#
#     lender SIZE [PARAMETER...]  makes a device of that size and serves it; sets $device, $lend
#                                 (the socket to borrow at), run (the words of the command
#                                 kmemblk run --lend=$lend), and what start_nbdkit sets
#     lent                        prints how many zones are lent, to whomever
#     on_device PID               prints the KiB that process has on zones of $device, and the KiB
#                                 that it has in anonymous memory
#     eventually COMMAND          until the command succeeds; fails the test after a minute
#     heap                        the path of the program of heap.c

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires python3 -c 'import json'
heap=$abs_top_builddir/tests/lend/heap

# A program with a sanitizer wants its own malloc.
test -z "${asan_library:-}" || skip "not with AddressSanitizer"

lender() {
	local size=$1
	shift
	device device
	lend=$tmp/lend
	run=("$kmemblk" run --lend="$lend")
	"$kmemblk" format --create="$size" "$device" > "$tmp/format.out"
	start_nbdkit "$device" lend="$lend" "$@"
	eventually test -S "$lend"
}

lent() {
	"$kmemblk" stat --json "$lend" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["zones"]["lent"])'
}

none_lent() {
	test "$(lent)" -eq 0
}

on_device() {
	awk -v device="$device" '
		/^[0-9a-f]+-[0-9a-f]+ / { name = $6 }
		/^Rss:/ {
			if (name == device)
				zones += $2
			else if (name == "" || name == "[heap]")
				anonymous += $2
		}
		END { print zones + 0, anonymous + 0 }' "/proc/$1/smaps"
}

eventually() {
	local i
	for ((i = 0; i < 600; i++)); do
		! "$@" > /dev/null 2>&1 || return 0
		sleep 0.1
	done
	fail "did not happen within a minute: $*"
}

# start_redis [RUN-OPTION...]: Debian's redis-server under kmemblk run, its data in $tmp/redis; sets
# $redis, its pid.  The package redis-tools has the server, which comes under this name of its own
# and so without a service.
start_redis() {
	requires command -v redis-cli
	requires command -v redis-check-rdb
	mkdir -p "$tmp/redis"
	ln -sf "$(command -v redis-check-rdb)" "$tmp/redis-server"
	"${run[@]}" "$@" -- "$tmp/redis-server" --port 0 --unixsocket "$tmp/redis.sock" --save '' \
		--dir "$tmp/redis" --enable-debug-command yes > "$tmp/redis.log" 2>&1 &
	redis=$!
	cleanup_fn end_process "$redis"
	eventually cli ping
}

cli() {
	redis-cli -s "$tmp/redis.sock" "$@"
}
