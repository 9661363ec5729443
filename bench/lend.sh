#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What lending costs.  First the same memory lent and returned from a small device and from a large sparse
# one: the server's time is not to depend on the size.  Then the disk at random at depth 32, beside
# borrowers who borrow and return without a pause, against the same disk while they are stopped; these
# alternate.
#
# usage: bench/lend.sh [ROUNDS] [REQUESTS]      (15 rounds of 40000 requests, and a third as
#                                                many of the first kind; the build
#                                                tree in .. or $abs_top_builddir)
# ZONES (4096, 8 GiB) says how many are lent.

set -eu -o pipefail

rounds=${1:-15}
requests=${2:-40000}
zones=${ZONES:-4096}
here=$(cd "$(dirname "$0")" && pwd)
build=${abs_top_builddir:-$here/..}

tmp=$(mktemp -d)
disk=/dev/shm/kmemblk-bench.$$
pids=()
clean_up() {
	test ${#pids[@]} -eq 0 || kill -CONT "${pids[@]}" 2> /dev/null || true
	test ${#pids[@]} -eq 0 || kill "${pids[@]}" 2> /dev/null || true
	wait
	rm -rf "$tmp" "$disk".*
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# serve NAME SIZE
serve() {
	"$build/tools/kmemblk" format --create="$2" "$disk.$1" > /dev/null
	nbdkit -f -U "$tmp/$1" -P "$tmp/$1.pid" "$build/kmemblk.so" "$disk.$1" lend="$tmp/$1.lend" \
		> "$tmp/$1.log" 2>&1 &
	pids+=($!)
	until test -s "$tmp/$1.pid"; do
		kill -0 $! 2> /dev/null || { cat "$tmp/$1.log" >&2; exit 1; }
		sleep 0.1
	done
}

# ---- the size of the device ----

serve small 16G
serve large 1T
for ((round = 0; round < (rounds + 2) / 3; round++)); do
	order=(small large)
	((round % 2)) && order=(large small)
	for name in "${order[@]}"; do
		"$build/bench/borrow" all "$tmp/$name.lend" "$(cat "$tmp/$name.pid")" "$zones" \
			>> "$tmp/all.$name"
	done
done
# column N FILE: one column of it
column() {
	awk -v c="$1" '{ print $c }' "$2"
}
for name in small large; do
	subject='16 GiB'
	test $name = small || subject='1 TiB'
	column 1 "$tmp/all.$name" | "$here/figures.py" lend "$zones zones lent and returned" "$subject" s
	column 2 "$tmp/all.$name" | "$here/figures.py" lend "$zones zones lent and returned" "$subject" 'CPU s'
done

# ---- the disk beside borrowers ----

serve disk 3G
uri="nbd+unix:///?socket=$tmp/disk"
# load KIND REQUESTS: requests a second, and within how many microseconds 99 of 100 were answered
load() {
	local reads=100
	test "$1" = read || reads=0
	"$build/bench/nbdload" --depth=32 --reads=$reads --requests="$2" --range=$((1 << 30)) \
		"disk=$(cat "$tmp/disk.pid")=$uri" > "$tmp/load"
	sed -n 's/.*"unit":"\(requests\/s\|p99 us\)","values":\[\([^]]*\)\].*/\2/p' "$tmp/load" | paste -s
}
"$build/bench/nbdload" --depth=16 --reads=0 --requests=1024 --bytes=$((1 << 20)) --range=$((1 << 30)) --sequential \
	"disk=$(cat "$tmp/disk.pid")=$uri" > "$tmp/fill"

# beside COMMAND...: let the borrowers go on for as long as it takes; the rate at which they borrowed is in
# $borrowed.
beside() {
	echo c >&"${churn[1]}"
	"$@"
	echo p >&"${churn[1]}"
	read -r borrowed <&"${churn[0]}"
}

for kind in read write; do
	for borrowers in 1 8 64; do
		coproc churn { exec "$build/bench/borrow" churn "$tmp/disk.lend" "$borrowers"; }
		beside sleep 1 # while they connect
		for ((round = 0; round < rounds; round++)); do
			beside sleep 0.3
			idle=$borrowed
			load $kind "$requests" > "$tmp/alone"
			beside load $kind "$requests" > "$tmp/beside"
			echo "$(cat "$tmp/alone" "$tmp/beside" | paste -s) $idle $borrowed"
		done > "$tmp/$kind.$borrowers"
		eval "exec ${churn[1]}>&-"
		wait "$churn_PID"
		what="4 KiB $kind, depth 32, $borrowers borrowers"
		column 1 "$tmp/$kind.$borrowers" | "$here/figures.py" lend "$what" alone 'requests/s'
		column 3 "$tmp/$kind.$borrowers" | "$here/figures.py" lend "$what" 'beside borrowers' 'requests/s'
		column 2 "$tmp/$kind.$borrowers" | "$here/figures.py" lend "$what" alone 'p99 us'
		column 4 "$tmp/$kind.$borrowers" | "$here/figures.py" lend "$what" 'beside borrowers' 'p99 us'
		column 5 "$tmp/$kind.$borrowers" | "$here/figures.py" lend "$what" 'idle disk' 'zones/s'
		column 6 "$tmp/$kind.$borrowers" | "$here/figures.py" lend "$what" 'busy disk' 'zones/s'
	done
done
