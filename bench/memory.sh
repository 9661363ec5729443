#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What a program's heap costs on lent memory, against the same program with the same allocator on
# ordinary memory of the same page size (huge pages are kept from both).  They alternate.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
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

names=('malloc and free' 'follow a pointer' 'copy a page')
for i in 0 1 2; do
	awk -v i=$((i + 1)) '{ print $i }' "$folder/figures" | "$here/figures.py" memory "${names[i]}" ordinary ns
	awk -v i=$((i + 4)) '{ print $i }' "$folder/figures" | "$here/figures.py" memory "${names[i]}" lent ns
done
