#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The server's cost over NBD: kmemblk against nbdkit's memory plugin and its file plugin on tmpfs.
#
# usage: bench/nbd.sh [ROUNDS] [REQUESTS]      (80 rounds of 8000 requests at depth 32, a fifth of that
#                                               at depth 1; the build tree in .. or $abs_top_builddir)
#
# All three servers run at once, each with 1 GiB written before, and idle but for the one that is
# measured.  In each round each has its turn, in an order that rotates, so that what the machine
# does meanwhile meets all alike; rounds of a tenth of a second, and many of them, for the machine's
# speed wanders within seconds.  Figures are medians of the rounds; ratios are medians of the
# rounds' ratios.  Nothing is judged: read it.

set -eu -o pipefail

rounds=${1:-80}
requests=${2:-8000}
here=$(cd "$(dirname "$0")" && pwd)
build=${abs_top_builddir:-$here/..}
range=$((1 << 30))
servers=(kmemblk memory file)

tmp=$(mktemp -d)
disk=/dev/shm/nbd-bench.$$
pids=()
clean_up() {
	test ${#pids[@]} -eq 0 || kill "${pids[@]}" 2> /dev/null || true
	wait
	rm -rf "$tmp" "$disk".*
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

declare -A pid uri

# start NAME PLUGIN [PARAMETER...]
start() {
	local name=$1
	shift
	nbdkit -f -U "$tmp/$name" -P "$tmp/$name.pid" "$@" 2> "$tmp/$name.log" &
	pids+=($!)
	while ! test -s "$tmp/$name.pid"; do
		kill -0 $! 2> /dev/null || { cat "$tmp/$name.log" >&2; exit 1; }
		sleep 0.1
	done
	pid[$name]=$(cat "$tmp/$name.pid")
	uri[$name]="nbd+unix:///?socket=$tmp/$name"
}

# load NAME KIND DEPTH REQUESTS BYTES SEED
load() {
	"$build/bench/nbdload" "${uri[$1]}" "${pid[$1]}" "$2" "$3" "$4" "$5" $range "$6"
}

# median < numbers
median() {
	sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

truncate -s $range "$disk.file"
start kmemblk "$build/kmemblk.so" "$disk.kmemblk" create=1100M
start memory memory 1G
start file file "$disk.file"
for name in "${servers[@]}"; do
	# All of it, then at random once over, so that blocks lie scattered where they can.
	load "$name" fill 16 $((range >> 20)) $((1 << 20)) 1 > /dev/null
	load "$name" write 32 $((range >> 12)) 4096 1 > /dev/null
done

printf '%s rounds of %s requests (depth 1: %s) of 4 KiB at random over 1 GiB, one connection\n\n' \
	"$rounds" "$requests" $((requests / 5))
printf '%-5s %5s  %27s  %29s  %26s\n' '' '' 'requests a second' 'server CPU us a request' \
	'kmemblk against'
printf '%-5s %5s  %9s%9s%9s  %11s%9s%9s  %10s%10s%12s\n' '' depth kmemblk memory file kmemblk \
	memory file 'memory' 'file' 'memory CPU'
for kind in read write; do
	for depth in 1 32; do
		for ((round = 0; round < rounds; round++)); do
			for ((i = 0; i < ${#servers[@]}; i++)); do
				name=${servers[(round + i) % ${#servers[@]}]}
				load "$name" $kind $depth $((depth == 1 ? requests / 5 : requests)) \
					4096 $((round + 2)) \
					>> "$tmp/$kind.$depth.$name"
			done
		done
		printf '%-5s %5d  ' $kind $depth
		for column in 1 2; do
			for name in "${servers[@]}"; do
				awk -v c=$column '{ print $c }' "$tmp/$kind.$depth.$name" | median |
					{ read -r m; printf '%9.*f' $((column == 1 ? 0 : 2)) "$m"; }
			done
			printf '    '
		done
		paste "$tmp/$kind.$depth".{kmemblk,memory,file} > "$tmp/all"
		for columns in '1 4' '1 7' '2 5'; do
			awk -v a="${columns% *}" -v b="${columns#* }" '{ print $a / $b }' "$tmp/all" |
				median | { read -r m; printf '%10.3f' "$m"; }
		done
		echo
	done
done
