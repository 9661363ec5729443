#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The tests see what they are there to see: linked with a library that does not wait for readers
# before it reuses a page (grace-mutant.c), each of them fails, and in a build with ThreadSanitizer
# that reports a data race.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

# seen PATTERN PROGRAM [ARGUMENT...]: true if the program fails as it should.
seen() {
	local pattern=$1 program=$2 expected=1 status=0
	shift
	# The first report is enough.
	TSAN_OPTIONS="${TSAN_OPTIONS:-} halt_on_error=1" "$@" > "$tmp/log" 2>&1 || status=$?
	if grep -q __tsan_init "$program"; then
		expected=66
		pattern='WARNING: ThreadSanitizer: data race'
	fi
	test "$status" -eq $expected && grep -q -- "$pattern" "$tmp/log"
}

seen 'reused under the reader' ./parked-reader-mutant ||
	fail "parked-reader does not see it: $(tail -n 20 "$tmp/log")"
seen 'came back to the page' ./parked-part-writer-mutant ||
	fail "parked-part-writer does not see it: $(tail -n 20 "$tmp/log")"
# Nobody reads the page here, so there is no race to report.
if ./parked-drain-mutant > "$tmp/log" 2>&1 || ! grep -q 'was reused before' "$tmp/log"; then
	fail "parked-drain does not see it: $(tail -n 20 "$tmp/log")"
fi

# This one leaves it to chance; the test's time limit ends the tries.
awaited='a seed with which model sees it'
for ((seed = 1; ; seed++)); do
	! seen '^torn\|^lost\|^foreign\|does not hold what was written' ./model-mutant --seed="$seed" --spare=2 --size=1 \
		--phases=1 --operations=100000 || exit 0
done
