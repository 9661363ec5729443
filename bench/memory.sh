#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What a program's heap costs on lent memory, against the same program with the same allocator on
# ordinary memory of the same page size (huge pages are kept from both).  They alternate; of each
# figure the median of all pairs' ratios is what counts.

set -euo pipefail
kmemblk=$abs_top_builddir/tools/kmemblk
memory=$abs_top_builddir/bench/memory
pairs=${PAIRS:-7}

folder=$(mktemp -d)
device=/dev/shm/kmemblk-bench.$$
server=
cleanup() {
	if test -n "$server" && kill "$server"; then
		wait "$server" || true
	fi
	rm -rf "$folder" "$device"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

"$kmemblk" format --create=1G "$device" > /dev/null
nbdkit -f -U "$folder/socket" "$abs_top_builddir/kmemblk.so" "$device" lend="$folder/lend" \
	> "$folder/log" 2>&1 &
server=$!
until test -S "$folder/lend"; do
	kill -0 "$server" || { cat "$folder/log" >&2; exit 1; }
	sleep 0.1
done

conf=narenas:2,percpu_arena:disabled,oversize_threshold:0,retain:false,thp:never
for ((i = 0; i < pairs; i++)); do
	ordinary=$(LD_PRELOAD=libjemalloc.so.2 MALLOC_CONF=$conf "$memory")
	lent=$(MALLOC_CONF=thp:never "$kmemblk" run --strict --lend="$folder/lend" -- "$memory")
	echo "$ordinary $lent"
done > "$folder/figures"

awk '
	function median(column, n, i, j, t, v) {
		for (i = 1; i <= NR; i++)
			v[i] = all[i, column]
		for (i = 2; i <= NR; i++)
			for (j = i; j > 1 && v[j] < v[j - 1]; j--) {
				t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
			}
		return v[int((NR + 1) / 2)]
	}
	{
		for (i = 1; i <= 6; i++)
			all[NR, i] = $i
		for (i = 1; i <= 3; i++)
			all[NR, 6 + i] = $(3 + i) / $i
	}
	END {
		split("malloc and free|follow a pointer|copy a page", name, "|")
		printf "%-18s %12s %12s %8s\n", "", "ordinary", "lent", "ratio"
		for (i = 1; i <= 3; i++)
			printf "%-18s %9.2f ns %9.2f ns %8.3f\n", name[i], median(i), median(3 + i),
				median(6 + i)
	}' "$folder/figures"
