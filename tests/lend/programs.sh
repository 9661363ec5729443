#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# For developers (make check-lend): unmodified programs of Debian print under kmemblk run byte for byte what
# they print without, while the disk keeps its blocks; and with --strict some work for KMEMBLK_LEND_SECONDS
# (60) seconds each, and have then at least nine tenths of their heap on shared loans.
#
# usage: programs.sh [NAME...]      only these, such as: sqlite3 strict_redis
#
# works.sh has what they do.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

seconds=${KMEMBLK_LEND_SECONDS:-60}
only=("$@")
ran=0
failed=
export PYTHONMALLOC=malloc PYTHONHASHSEED=1
PATH=$PATH:/usr/sbin
. "$abs_top_srcdir/tests/lend/works.sh"

disk() {
	"$abs_top_builddir/tests/lend/load" "$uri" "$@"
}

# The disk has blocks all over the device, and most of what they were beside is free.
lender 4G lend-mode=0666
chmod 755 "$tmp"
test "$(disk fill 0 262144 7)" -eq 262144 || fail "the disk is full"
for ((i = 0; i < 64; i++)); do
	disk trim $((i * 4096)) 3840 0
done

disk_is_unchanged() {
	local i
	for ((i = 0; i < 64; i++)); do
		disk verify $((i * 4096)) 3840 0
		disk verify $((i * 4096 + 3840)) 256 7
	done
}

# wanted NAME PACKAGE PROGRAM: whether it is to be run, and is there.
wanted() {
	test ${#only[@]} -eq 0 || grep -qxF -- "$1" <<< "$(printf '%s\n' "${only[@]}")" || return 1
	if ! command -v "$3" > /dev/null; then
		echo "$1: skipped: $3 is not here; type: apt-get install $2"
		return 1
	fi
	name=$1
	ran=$((ran + 1))
}

# went_wrong WHAT [FILE]: the others are run nevertheless.
went_wrong() {
	echo "$name: FAIL: $1"
	test $# -eq 1 || tail -n 20 "$2"
	failed=yes
}

# work HOW: by the words of run; sets $status.  It ends what it starts itself, also when this test is ended.
work() {
	rm -rf "$tmp/work"
	mkdir -p "$tmp/work"
	(
		# shellcheck disable=SC2034  # functions.sh reads it
		cleanups=()
		trap run_cleanups EXIT
		trap 'exit 143' TERM
		cd "$tmp/work"
		"work_$name"
	) > "$tmp/$1" 2> "$tmp/$1.log" < /dev/null &
	worker=$!
	cleanup_fn end_process "$worker"
	status=0
	wait "$worker" || status=$?
	cleanup_done
	test "$status" -eq 0 || went_wrong "$1: status $status" "$tmp/$1.log"
}

# meanwhile: other blocks are written, trimmed and verified, and how many zones are lent is written down.
meanwhile() {
	while :; do
		disk churn 262144 4096 100 2>> "$tmp/churn.log"
		lent
		sleep 0.1
	done > "$tmp/zones"
}

# compare NAME PACKAGE PROGRAM [OPTION...]: with --strict also a small heap is on loans.
compare() {
	local borrowing=("${run[@]}") began=$SECONDS between other zones
	wanted "$@" || return 0
	run=(env)
	work ordinary
	between=$SECONDS
	run=("${borrowing[@]}" "${@:4}")
	meanwhile &
	other=$!
	cleanup_fn end_process "$other"
	work borrowed
	run=("${borrowing[@]}")
	is_running "$other" || went_wrong "a block of the disk is wrong" "$tmp/churn.log"
	end_process "$other"
	cleanup_done
	zones=$(sort -n "$tmp/zones" | tail -n 1)
	test "$zones" -gt 0 || went_wrong "nothing of it was on loans" "$tmp/borrowed.log"
	cmp "$tmp/ordinary" "$tmp/borrowed" ||
		went_wrong "it prints something else" <(diff "$tmp/ordinary" "$tmp/borrowed")
	eventually none_lent
	disk_is_unchanged
	echo "$name: $((between - began)) s without, $((SECONDS - between)) s with at the most $zones zones," \
		"$(wc -l < "$tmp/borrowed") lines"
}

# ---- strict -----------------------------------------------------------------------------------

# on_loans FILE: by these smaps, the heap's KiB on shared loans, and what else has memory is in the addresses that were reserved for it.
on_loans() {
	cat > "$tmp/on-loans.py" << 'END'
import re, sys
loan = sys.argv[1] + ".loans/"
areas = []
for line in sys.stdin:
    area = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
    if area:
        areas.append([int(area[1], 16), int(area[2], 16), area[3], area[4], 0, 0])
    elif line.startswith(("Rss:", "Anonymous:")):
        areas[-1][4 if line.startswith("Rss") else 5] += int(line.split()[1])
loans = [a for a in areas if a[3].startswith(loan)]
# The heap grows upwards in 1 TiB and the 64 MiB that align it: what is left above it is one area.
end = min(a[1] for a in areas if a[2] == "---p" and a[1] - a[0] > 1 << 39 and a[0] > loans[0][0])
begin = end - (1 << 40) - (64 << 20)
assert all(begin <= a[0] and a[1] <= end for a in loans)
shared = sum(a[4] - a[5] for a in loans)
print(shared, sum(a[5] for a in areas if begin <= a[0] and a[1] <= end))
END
	python3 "$tmp/on-loans.py" "$device" < "$1"
}

is_at_work() {
	local process
	for process in "$pid" "${workers[@]}"; do
		is_running "$process" || return 1
	done
}

# strict NAME PACKAGE PROGRAM: strict_NAME starts it with --strict, sets $pid, and adds to $workers the processes
# that keep it at work until they are ended.
strict() {
	local shared anonymous process began=$SECONDS
	wanted "strict_$1" "${@:2}" || return 0
	rm -rf "$tmp/work"
	mkdir "$tmp/work"
	workers=()
	"$name"
	while test $((SECONDS - began)) -lt "$seconds" && is_at_work; do
		sleep 0.5
	done
	if is_at_work; then
		cat "/proc/$pid/smaps" > "$tmp/smaps"
		read -r shared anonymous < <(on_loans "$tmp/smaps")
		echo "$name: $((SECONDS - began)) s, $shared KiB of its heap on shared loans, $anonymous KiB not"
		test $((shared * 10)) -ge $(((shared + anonymous) * 9)) || went_wrong "less than nine tenths"
	else
		went_wrong "it ended early" "$tmp/work/log"
	fi
	for process in "${workers[@]}" "$pid"; do
		end_process "$process"
	done
	eventually none_lent
	disk_is_unchanged
}

# starts WORD...: the program whose heap it is.
starts() {
	"${run[@]}" --strict -- "$@" > "$tmp/work/log" 2>&1 &
	pid=$!
	cleanup_fn end_process "$pid"
}

# keeps_at_work COMMAND...
keeps_at_work() {
	"$@" >> "$tmp/work/log" 2>&1 &
	workers=("$!")
	cleanup_fn end_process "$!"
}

strict_redis() {
	rm -rf "$tmp/redis"
	ln -s "$tmp/redis.log" "$tmp/work/log"
	start_redis --strict
	pid=$redis
	load_redis 250000
	workers=("$redis_load" "$transactions")
}

strict_memcached() {
	starts memcached -s "$tmp/work/socket" -u "$(id -un)" -m 1024 -I 2m
	eventually test -S "$tmp/work/socket"
	keeps_at_work memcached_client "$tmp/work/socket" endless
}

strict_sqlite3() {
	mkfifo "$tmp/work/sql"
	starts sqlite3 -bail :memory: ".read $tmp/work/sql"
	keeps_at_work statements "$tmp/work/sql"
}

statements() {
	local turn
	cat << 'END'
PRAGMA cache_size = -400000;
CREATE TABLE t (id INTEGER PRIMARY KEY, k INT, name TEXT, data BLOB);
CREATE INDEX of_name ON t (name, k);
CREATE TABLE is_so (so CHECK (so));
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
	INSERT INTO t SELECT i, i, printf('%d', i), zeroblob(i % 300) FROM n;
END
	for ((turn = 0; ; turn++)); do
		cat << END
UPDATE t SET data = zeroblob((k * 7 + $turn) % 900), name = printf('%08x%d', k * $turn % 65521, k) WHERE k % 5 = $turn % 5;
DELETE FROM t WHERE k % 11 = $turn % 11;
WITH RECURSIVE n(i) AS (SELECT $turn % 11 UNION ALL SELECT i + 11 FROM n WHERE i + 11 <= 300000)
	INSERT INTO t SELECT i, i, printf('%d', i), zeroblob(i % 500) FROM n WHERE i > 0;
INSERT INTO is_so SELECT count(*) = 300000 AND sum(k) = 45000150000 AND max(k) = 300000 FROM t;
INSERT INTO is_so SELECT count(*) = 300000 FROM (SELECT name FROM t ORDER BY length(data), name);
END
	done
} > "$1"

strict_python() {
	(cd "$tmp/work" && python_program)
	starts python3 "$tmp/work/program.py" endless
}

# ---- all of them ------------------------------------------------------------------------------

compare sqlite3 sqlite3 sqlite3
compare python python3 python3
compare python_fork python3 python3
compare python_faulthandler python3 python3
compare node nodejs node
compare java openjdk-17-jdk-headless javac
compare perl perl perl
compare gcc gcc gcc --strict
compare git git git --strict
compare rsync rsync rsync --strict
compare sort coreutils sort --strict
compare xz xz-utils xz
compare stress_ng stress-ng stress-ng --strict
compare memcached memcached memcached
compare redis redis-tools redis-benchmark
if "${as[@]}" test -x "$kmemblk"; then
	compare postgres postgresql "${postgres:-postgres}"
else
	echo "postgres: skipped: user nobody cannot enter a folder on the way to $kmemblk"
fi
compare nginx nginx nginx --strict

strict redis redis-tools redis-benchmark
strict memcached memcached memcached
strict sqlite3 sqlite3 sqlite3
strict python python3 python3

stop_nbdkit
check_device
test "$ran" -gt 0 || skip "none of these programs is here"
test -z "$failed" || fail "see above"
echo "all is equal, and the disk is unchanged and sound"
