#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Debian's redis-server with 256 MiB of data has at least 90 % of its heap on the device; BGSAVE
# under a load of writes gives a dump that is sound and from one instant; and kill -9 frees all of
# its zones.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/helpers.sh"

requires command -v redis-benchmark
lender 1G
# shellcheck disable=SC2119  # its arguments are optional, and not ours
start_redis
cli debug populate 250000 key 1000 > /dev/null
read -r zones anonymous < <(on_device "$redis")
echo "redis: $zones KiB on zones, $anonymous KiB elsewhere"
test "$zones" -ge $((256 * 1024)) || fail "only $zones KiB on zones"
test $((zones * 10)) -ge $(((zones + anonymous) * 9)) || fail "$anonymous KiB are elsewhere"

# What a dump of an instant must have: each transaction whole.
cat > "$tmp/transactions.py" << 'END'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
f = s.makefile("rb")
n = 0
while True:
    n += 1
    s.sendall(b"MULTI\r\n" + b"".join(b"SET both:%d %d\r\n" % (i, n) for i in range(200)) +
              b"EXEC\r\n")
    for i in range(202):
        f.readline()
    for i in range(200):
        f.readline()
END
python3 "$tmp/transactions.py" "$tmp/redis.sock" &
writer=$!
cleanup_fn end_process "$writer"
redis-benchmark -s "$tmp/redis.sock" -q -t set -n 10000000 -r 250000 -d 800 > "$tmp/load.log" 2>&1 &
load=$!
cleanup_fn end_process "$load"
eventually cli exists both:199

saved() {
	cli info persistence | tr -d '\r' > "$tmp/persistence"
	grep -qx 'rdb_bgsave_in_progress:0' "$tmp/persistence"
}
for round in 1 2 3; do
	cli bgsave > /dev/null
	eventually saved
	grep -qx 'rdb_last_bgsave_status:ok' "$tmp/persistence" || fail "$(cat "$tmp/persistence")"
	cp "$tmp/redis/dump.rdb" "$tmp/dump$round.rdb"
done
kill -0 "$load" "$writer" || fail "the load ended early: $(tr '\r' '\n' < "$tmp/load.log" | tail -3)"
end_process "$load"
end_process "$writer"

kill -9 "$redis"
wait "$redis" 2> /dev/null || true
eventually none_lent

loaded() {
	test "$(cli dbsize)" -ge 250000
}
# Reload on ordinary memory, and look.
for round in 1 2 3; do
	redis-check-rdb "$tmp/dump$round.rdb" > "$tmp/check.log" || fail "$(cat "$tmp/check.log")"
	cp "$tmp/dump$round.rdb" "$tmp/redis/dump.rdb"
	rm -f "$tmp/redis.sock"
	"$tmp/redis-server" --port 0 --unixsocket "$tmp/redis.sock" --save '' --dir "$tmp/redis" \
		> "$tmp/redis.log" 2>&1 &
	redis=$!
	cleanup_fn end_process "$redis"
	eventually loaded
	values=$(cli mget $(seq -f 'both:%.0f' 0 199) | sort -u | wc -l)
	test "$values" -eq 1 || fail "dump $round has $values values of one transaction"
	end_process "$redis"
done
