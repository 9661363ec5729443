# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# How a fuzz target is run as a test; for after tests/functions.sh.

# keep_finding TARGET: what the fuzzer has written to $tmp outlives the test.
keep_finding() {
	local file
	tail -n 60 "$tmp/log" >&2
	for file in "$tmp"/finding-*; do
		test -e "$file" || continue
		cp "$file" .
		echo "the input is kept; to repeat it: $PWD/fuzz-$1 $PWD/${file##*/}" >&2
	done
}

# known_inputs NAME: set $known to a folder with the named inputs of that target, and what long runs have
# learned.
known_inputs() {
	known=$tmp/known-$1
	mkdir "$known"
	cp "$abs_top_srcdir/tests/fuzz/corpus-$1"/* "$known/"
	tar -C "$known" -xzf "$abs_top_srcdir/tests/fuzz/learned-$1.tar.gz"
}

# fuzz_for_a_while NAME: the target fuzz-NAME on each input that is known, then on what it makes of
# them, always from the same seed.
fuzz_for_a_while() {
	local target=./fuzz-$1
	test -x "$target" ||
		skip "no libFuzzer here: apt-get install clang libclang-rt-dev, then make check"
	# No input takes a second, unless the machine is that busy.
	local options=(-artifact_prefix="$tmp/finding-" -timeout=900 -rss_limit_mb=2048)

	known_inputs "$1"
	"$target" "${options[@]}" "$known"/* > "$tmp/log" 2>&1 || {
		keep_finding "$1"
		fail "an input that has been right before"
	}
	mkdir "$tmp/new"
	"$target" "${options[@]}" -seed=20 -max_len=720 -len_control=0 -print_final_stats=1 \
		-max_total_time="${FUZZ_CHECK_SECONDS:-15}" "$tmp/new" "$known" > "$tmp/log" 2>&1 || {
		keep_finding "$1"
		fail "a new input"
	}
	grep -E 'DONE|number_of_executed_units' "$tmp/log"
}
