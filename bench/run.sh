#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What `kmemblk run` costs a program that is over at once, and one that forks, against the same under
# env.  They alternate, each first in every other round.
#
# usage: bench/run.sh [ROUNDS] [FORK-ROUNDS]     (400 rounds of `true`, 15 of 1,000 forks; the build tree in
#                                                 .. or $abs_top_builddir)

set -eu -o pipefail

rounds=${1:-400}
fork_rounds=${2:-15}
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${abs_top_builddir:-$here/..}" && pwd)
kmemblk=$build/tools/kmemblk
export LC_ALL=C

# A script of libtool's would be measured, not the command.
if test "$(head -c 2 "$kmemblk")" = '#!'; then
	echo "$0: $kmemblk is a script: not the executable that would be installed" >&2
	exit 1
fi

folder=$(mktemp -d)
device=/dev/shm/kmemblk-bench.$$
server=
clean_up() {
	test -z "$server" || kill "$server" 2> /dev/null || true
	wait
	rm -rf "$folder" "$device"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

"$kmemblk" format --create=1G "$device" > /dev/null
nbdkit -f -U "$folder/socket" "$build/kmemblk.so" "$device" lend="$folder/lend" > "$folder/log" 2>&1 &
server=$!
until test -S "$folder/lend"; do
	kill -0 "$server" || { cat "$folder/log" >&2; exit 1; }
	sleep 0.1
done

# microseconds COMMAND [ARGUMENT...]: how long it takes, in $microseconds.
microseconds() {
	local from=${EPOCHREALTIME/./}
	"$@" > "$folder/out"
	microseconds=$((${EPOCHREALTIME/./} - from))
}

# compare WHAT ROUNDS COMMAND [ARGUMENT...]
compare() {
	local what=$1 rounds=$2 i ordinary lent
	shift 2
	local run=("$kmemblk" run --lend="$folder/lend" -- "$@")
	for ((i = 0; i < rounds; i++)); do
		if ((i % 2)); then
			microseconds "${run[@]}"
			lent=$microseconds
			microseconds env "$@"
			ordinary=$microseconds
		else
			microseconds env "$@"
			ordinary=$microseconds
			microseconds "${run[@]}"
			lent=$microseconds
		fi
		echo "$ordinary $lent"
	done > "$folder/figures"
	awk '{ print $1 / 1000 }' "$folder/figures" | "$here/figures.py" run "$what" env ms
	awk '{ print $2 / 1000 }' "$folder/figures" | "$here/figures.py" run "$what" 'kmemblk run' ms
}

compare 'true' "$rounds" true
# shellcheck disable=SC2016  # the inner shell expands it
compare '1,000 forks by bash' "$fork_rounds" bash -c 'for ((i = 0; i < 1000; i++)); do (:); done'
