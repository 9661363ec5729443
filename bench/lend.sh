#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What lending costs.  First the same memory lent and returned from a small device and from a large sparse
# one: the server's time is not to depend on the size.  Then the disk at random at depth 32, beside
# borrowers who borrow and return without a pause, against the same disk while they are stopped; these
# alternate.  Figures are medians of the rounds, ratios medians of the rounds' ratios.  Nothing is judged:
# read it.
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

# median < numbers
median() {
	sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

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

# ratios FILE A B: the median of column A by column B.
ratios() {
	awk -v a="$2" -v b="$3" '{ print $a / $b }' "$1" | median
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
paste "$tmp/all.small" "$tmp/all.large" > "$tmp/all"
printf '%s zones lent and returned   %10s %10s %8s\n' "$zones" '16 GiB' '1 TiB' ratio
for column in 1 2; do
	what=(- 'seconds' "seconds of the server's processor")
	printf '  %-31s %8.3f %10.3f %8.3f\n' "${what[column]}" \
		"$(awk -v c=$column '{ print $c }' "$tmp/all" | median)" \
		"$(awk -v c=$((column + 2)) '{ print $c }' "$tmp/all" | median)" \
		"$(ratios "$tmp/all" $((column + 2)) $column)"
done

# ---- the disk beside borrowers ----

serve disk 3G
uri="nbd+unix:///?socket=$tmp/disk"
# load KIND REQUESTS SEED
load() {
	"$build/bench/nbdload" "$uri" "$(cat "$tmp/disk.pid")" "$1" 32 "$2" 4096 $((1 << 30)) "$3"
}
"$build/bench/nbdload" "$uri" "$(cat "$tmp/disk.pid")" fill 16 1024 $((1 << 20)) $((1 << 30)) 1 > /dev/null

# beside COMMAND...: let the borrowers go on for as long as it takes; the rate at which they borrowed is in
# $borrowed.
beside() {
	echo c >&"${churn[1]}"
	"$@"
	echo p >&"${churn[1]}"
	read -r borrowed <&"${churn[0]}"
}

printf '\n%-6s %9s  %10s %10s %6s  %10s %10s %6s  %23s\n' '' '' 'requests/s' beside ratio \
	'p99 us' beside ratio 'zones/s: idle disk, busy'
for kind in read write; do
	for borrowers in 1 8 64; do
		coproc churn { exec "$build/bench/borrow" churn "$tmp/disk.lend" "$borrowers"; }
		beside sleep 1 # while they connect
		for ((round = 0; round < rounds; round++)); do
			beside sleep 0.3
			idle=$borrowed
			load $kind "$requests" $((round + 1)) > "$tmp/alone"
			beside load $kind "$requests" $((round + 1)) > "$tmp/beside"
			echo "$(cat "$tmp/alone" "$tmp/beside" | paste -s) $idle $borrowed"
		done > "$tmp/$kind.$borrowers"
		eval "exec ${churn[1]}>&-"
		wait "$churn_PID"
		printf '%-6s %9d ' $kind "$borrowers"
		for columns in '1 4' '3 6' '7 8'; do
			for column in $columns; do
				awk -v c="$column" '{ print $c }' "$tmp/$kind.$borrowers" | median |
					{ read -r m; printf ' %10.0f' "$m"; }
			done
			test "$columns" = '7 8' || printf ' %6.2f ' \
				"$(ratios "$tmp/$kind.$borrowers" "${columns#* }" "${columns% *}")"
		done
		echo
	done
done
