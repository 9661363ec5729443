#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The fuzz targets see what they are there to see: with any one fault of mutants.c in the library
# they find it, from the inputs that are known.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/fuzz/fuzz.sh"

test -x ./fuzz-image-mutant ||
	skip "no libFuzzer here: apt-get install clang libclang-rt-dev, then make check"

missed=()

# finds TARGET MUTANT: a finding, what AddressSanitizer says of it, or a call that does not end.
finds() {
	local status=0
	# A hundred times as many runs as it takes.
	KMEMBLK_MUTANT=$2 "./fuzz-$1-mutant" -artifact_prefix="$tmp/" -timeout=20 -seed=20 -max_len=720 \
		-len_control=0 -runs=10000 "$tmp/new" "$tmp/known-$1" \
		> "$tmp/log" 2>&1 || status=$?
	if test $status -eq 0; then
		missed+=("$2")
		return
	fi
	printf '%-28s fuzz-%-7s%s\n' "$2" "$1" \
		"$(grep -m 1 -E '^finding: |ERROR: (Address|libFuzzer)|runtime error' "$tmp/log")"
}

mkdir "$tmp/new"
known_inputs ops
known_inputs image
for mutant in read-gives-the-neighbour trim-forgets read-past-the-end write-past-the-end \
	reservation-is-lost check-of-another-block; do
	finds ops $mutant
done
for mutant in checksum-unseen reserved-unseen copy-unseen range-one-too-far shared-unseen \
	repair-takes-an-entry repair-takes-a-page table-out-of-place-followed volumes-share-unseen \
	uuids-unseen sequences-unseen origin-gone-unseen origin-differs-unseen family-unseen height-unseen \
	circle-unseen half-a-snapshot-unseen predecessor-forgotten predecessor-of-another \
	shared-counted-twice shared-changed frees-the-predecessors frees-the-successors; do
	finds image $mutant
done
test ${#missed[@]} -eq 0 || fail "not found: ${missed[*]}"
