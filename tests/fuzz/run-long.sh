#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Runs fuzz targets side by side for FUZZ_SECONDS.  New inputs gather in found-NAME, so the next run
# goes on from there; an input that ends a target is kept as finding-*.
#
# usage: FUZZ_SECONDS=3600 run-long.sh SOURCE-FOLDER fuzz-NAME...

set -eu

source=$1
shift
pids=()
trap 'kill "${pids[@]}" 2> /dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

for target; do
	if ! test -x "./$target"; then
		echo "no libFuzzer here: apt-get install clang libclang-rt-dev" >&2
		exit 1
	fi
	name=${target#fuzz-}
	if ! test -e "found-$name"; then
		mkdir "found-$name"
		tar -C "found-$name" -xzf "$source/learned-$name.tar.gz"
	fi
	"./$target" -artifact_prefix=finding- -timeout=20 -max_len=700 -len_control=0 -print_final_stats=1 \
		-max_total_time="$FUZZ_SECONDS" "found-$name" "$source/corpus-$name" \
		> "$target.log" 2>&1 &
	pids+=($!)
done

status=0
for target; do
	wait "${pids[0]}" || status=1
	pids=("${pids[@]:1}")
	echo "$target:"
	grep -E 'finding:|ERROR|SUMMARY|Test unit written|^Done|number_of_executed' "$target.log" || true
	grep ' cov: ' "$target.log" | tail -n 1
done
test $status -eq 0 || echo "findings: $PWD/finding-*; fix them, then put them into corpus-*, with a name"
exit $status
