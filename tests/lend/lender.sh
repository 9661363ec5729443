# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
#
# What the tests of programs that borrow share, beyond tests/functions.sh:
#
#     lender SIZE [PARAMETER...]  makes a device of that size and serves it; sets $device, $lend
#                                 (the socket to borrow at), run (the words of the command
#                                 kmemblk run --lend=$lend), and what start_nbdkit sets; a write waits
#                                 for memory to come back for as long as the test may take
#     lent                        prints how many zones are lent, to whomever
#     on_device PID               prints the KiB that process has on zones of $device, and the KiB
#                                 that it has in anonymous memory
#     start_redis [OPTION...]     Debian's redis-server under kmemblk run; see below
#     load_redis KEYS             a load of writes to it, to so many keys, until unload_redis
#     save_redis FILE             a dump of it, meanwhile
#     check_dump FILE KEYS        fails the test unless that dump is sound, and from one instant
#     start_verified_load OPTION...  fio, until end_verified_load; see below
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
	start_nbdkit "$device" lend="$lend" recall-timeout=3600 "$@"
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
			if (index(name, device ".loans/") == 1)
				zones += $2
			else if (name == "" || name == "[heap]")
				anonymous += $2
		}
		END { print zones + 0, anonymous + 0 }' "/proc/$1/smaps"
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

# What a dump of an instant must have is each transaction as a whole: 200 keys that are equal.  And
# there are writes all over the heap.
load_redis() {
	requires command -v redis-benchmark
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
	transactions=$!
	cleanup_fn end_process "$transactions"
	redis-benchmark -s "$tmp/redis.sock" -q -t set -n 100000000 -r "$1" -d 800 \
		> "$tmp/load.log" 2>&1 &
	redis_load=$!
	cleanup_fn end_process "$redis_load"
	eventually has_transaction
}

unload_redis() {
	kill -0 "$redis_load" "$transactions" ||
		fail "the load ended early: $(tr '\r' '\n' < "$tmp/load.log" | tail -3)"
	end_process "$redis_load"
	end_process "$transactions"
}

is_saved() {
	cli info persistence | tr -d '\r' > "$tmp/persistence"
	grep -qx 'rdb_bgsave_in_progress:0' "$tmp/persistence"
}

save_redis() {
	cli bgsave > /dev/null
	eventually is_saved
	grep -qx 'rdb_last_bgsave_status:ok' "$tmp/persistence" || fail "$(cat "$tmp/persistence")"
	cp "$tmp/redis/dump.rdb" "$1"
}

has_transaction() {
	test "$(cli exists both:199)" -eq 1
}

has_keys() {
	test "$(cli dbsize)" -ge "$1"
}

# By a server of its own, on ordinary memory, in place of the one that made it.
check_dump() {
	local values folder=$1.load
	redis-check-rdb "$1" > "$tmp/check.log" || fail "$(cat "$tmp/check.log")"
	mkdir "$folder"
	ln "$1" "$folder/dump.rdb"
	rm -f "$tmp/redis.sock"
	"$tmp/redis-server" --port 0 --unixsocket "$tmp/redis.sock" --save '' --dir "$folder" \
		> "$tmp/redis.log" 2>&1 &
	redis=$!
	cleanup_fn end_process "$redis"
	eventually has_keys "$2"
	# shellcheck disable=SC2046  # a word a key
	values=$(cli mget $(seq -f 'both:%.0f' 0 199) | sort -u | wc -l)
	test "$values" -eq 1 || fail "$1 has $values values of one transaction"
	end_process "$redis"
	rm -rf "$folder"
}

# start_verified_load FIO-OPTION...: fio writes at random and verifies, again and again, until
# end_verified_load, which fails the test if anything was not as it had been written.
start_verified_load() {
	verified_load() {
		while ! test -e "$tmp/fio.stop"; do
			fio --name=verify --rw=randwrite --bs=4k --randrepeat=0 --verify=crc32c \
				--verify_fatal=1 --do_verify=1 "$@" > "$tmp/fio.log" 2>&1 ||
				return 1
			echo >> "$tmp/fio.rounds"
		done
	}
	verified_load "$@" &
	fio=$!
	cleanup_fn stop_verified_load
}

stop_verified_load() {
	touch "$tmp/fio.stop"
	wait "$fio"
}

end_verified_load() {
	eventually test -s "$tmp/fio.rounds"
	stop_verified_load || fail "$(cat "$tmp/fio.log")"
	echo "fio: $(wc -l < "$tmp/fio.rounds") rounds verified"
}
