#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Programs of Debian with their heap on loans of fsdax, on ext4 and on xfs: each prints what it prints
# without, and the disk beside them is as it was.  redis dumps itself twice meanwhile, which forks.
#
# A guest is slow, so they have less to do than in tests/lend/programs.sh.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"

for program in python3 redis-check-rdb redis-cli sqlite3; do
	requires "$program" --version
done

# ---- on this machine: the programs, with all that they load -------------------------------------

# take_program NAME [AS]
take_program() {
	local file library
	file=$(readlink -f "$(command -v "$1")")
	cp "$file" "$tmp/programs/bin/${2:-$1}"
	for library in $(ldd "$file" | sed -nE 's/.*[ \t](\/[^ ]+) \(0x.*/\1/p'); do
		cp -L "$library" "$tmp/programs/lib/"
	done
}

take_programs() {
	local python
	mkdir -p "$tmp/programs"/{bin,lib,python}
	# What Debian calls redis-server is a link to it, which goes by its name.
	take_program redis-check-rdb redis-server
	take_program redis-cli
	take_program sqlite3
	PATH=/usr/bin:$PATH take_program python3
	python=$(PATH=/usr/bin:$PATH python3 -c 'import os; print(os.path.dirname(os.__file__))')
	tar -C "$python" --exclude=test --exclude=__pycache__ --exclude=dist-packages --exclude='config-*' \
		--exclude=idlelib --exclude=lib2to3 -cf - . | tar -C "$tmp/programs/python" -xf -
}

# ---- in the guest -------------------------------------------------------------------------------

work_sqlite3() {
	"$@" sqlite3 :memory: << 'END'
CREATE TABLE t (id INTEGER PRIMARY KEY, k INT, data BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
	INSERT INTO t SELECT i, i * 7919 % 10007, zeroblob(i % 1500) FROM n;
CREATE INDEX of_k ON t (k);
SELECT count(*), sum(k), sum(length(data)) FROM t;
SELECT k % 7 AS g, count(*), total(length(data)) FROM t GROUP BY g ORDER BY g;
DELETE FROM t WHERE k % 3 = 0;
SELECT count(*), sum(id), min(k), max(k) FROM t;
END
}

work_python() {
	"$@" python3 -S -X faulthandler -c '
import os, sys, threading

def work(seed, out):
    kept = {i: bytes([i * seed % 251]) * (i % 3000) for i in range(8000)}
    out[seed] = sum(len(b) + (b[0] if b else 0) for b in kept.values())

out = {}
threads = [threading.Thread(target=work, args=(seed, out)) for seed in (1, 2, 3)]
for thread in threads:
    thread.start()
pid = os.fork()
if pid == 0:
    child = {}
    work(4, child)
    os._exit(child[4] % 200)
for thread in threads:
    thread.join()
print(sorted(out.items()), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))'
}

ask_redis() {
	redis-cli -s /tmp/redis.socket "$@" 2> /dev/null
}

is_dumped() {
	ask_redis info persistence | grep -q 'rdb_bgsave_in_progress:0' &&
		ask_redis info persistence | grep -q 'rdb_last_bgsave_status:ok'
}

work_redis() {
	local pid i
	"$@" redis-server --port 0 --unixsocket /tmp/redis.socket --save '' --dir /tmp > /tmp/redis.log 2>&1 &
	pid=$!
	wait_until ask_redis ping
	for i in 1 2; do
		ask_redis eval "for i = 1, 3000 do redis.call('set', 'k' .. i, string.rep(i % 10, 5000 + i) .. '$i') end
			return redis.call('dbsize')" 0
		ask_redis bgsave > /tmp/bgsave
		# While it dumps.
		ask_redis eval "for i = 1, 3000, 3 do redis.call('append', 'k' .. i, 'x') end
			return redis.call('strlen', 'k1')" 0
		wait_until is_dumped
	done
	ask_redis eval "local n = 0
		for i = 1, 3000 do
			local v = redis.call('get', 'k' .. i)
			if v ~= string.rep(i % 10, 5000 + i) .. '2' .. (i % 3 == 1 and 'x' or '') then n = n + 1 end
		end
		return n .. ' are wrong'" 0
	ask_redis shutdown nosave || true
	wait "$pid" || fail "redis ended with status $?: $(cat /tmp/redis.log)"
}

# compare NAME: without, and with all of the heap on loans.
compare() {
	"work_$1" env > /tmp/without
	"work_$1" kmemblk run --strict --verbose --lend=/tmp/lend -- > /tmp/with 2> /tmp/verbose
	cmp /tmp/without /tmp/with || fail "$1 prints something else: $(cat /tmp/without /tmp/with)"
	grep -qs 'MiB of its heap borrowed' /tmp/verbose /tmp/redis.log ||
		fail "$1 has not borrowed: $(cat /tmp/verbose)"
	echo "$1: $(wc -l < /tmp/with) lines, as without; $(grep -hs -m 1 'MiB of its heap' /tmp/verbose /tmp/redis.log)"
	wait_until zones_lent 0
	./load raw /dev/nbd0 25 25 25 25
}

# try TYPE
try() {
	local program
	case $1 in
	ext4) mkfs.ext4 -q -b 4096 /dev/pmem0 ;;
	xfs) mkfs.xfs -q -f /dev/pmem0 ;;
	esac
	mount -o dax=always /dev/pmem0 /dax
	kmemblk format --create=512M /dax/disk
	start_nbdkit ./kmemblk.so /dax/disk lend=/tmp/lend
	attach localhost
	./load raw /dev/nbd0 -n 25
	for program in sqlite3 python redis; do
		rm -f /tmp/redis.log
		compare "$program"
	done
	nbd-client -d /dev/nbd0
	stop_server
	kmemblk check --data /dax/disk
	umount /dax
}

inside() {
	export PATH=/guest/programs/bin:$PATH LD_LIBRARY_PATH=/guest/programs/lib
	export PYTHONHOME=/guest/programs PYTHONPATH=/guest/programs/python
	ndctl create-namespace -f -e namespace0.0 -m fsdax > /dev/null
	wait_until test -b /dev/pmem0
	mkdir /dax
	try ext4
	try xfs
}

take_programs
nvdimm disk 768M
guest_run one memory=2G nvdimm="$nvdimm" file="$tmp/programs" -- inside
cat "$tmp/one.log"
