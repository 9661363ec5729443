#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The tests see what they are there to see: linked with a library that does not wait for readers
# before it reuses a page (grace-mutant.c), each of them fails, and in a build with ThreadSanitizer
# that reports a data race.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

# run STATUS PROGRAM [ARGUMENT...]: with its output in $tmp/log.
status_of() {
	local status=0
	"$@" > "$tmp/log" 2>&1 || status=$?
	echo $status
}

# expect_seen PATTERN PROGRAM: the program fails as it should.
expect_seen() {
	local pattern=$1 program=$2 expected=1
	if grep -q __tsan_init "$program"; then
		expected=66
		pattern='WARNING: ThreadSanitizer: data race'
	fi
	test "$status" -eq $expected || fail "$program: status $status: $(tail -n 20 "$tmp/log")"
	grep -q -- "$pattern" "$tmp/log" || fail "$program: no '$pattern': $(tail -n 20 "$tmp/log")"
}

status=$(status_of ./parked-reader-mutant)
expect_seen 'reused under the reader' ./parked-reader-mutant

# This one leaves it to chance, so it gets some.
for seed in $(seq 20); do
	status=$(status_of ./model-mutant --seed="$seed" --spare=2 --size=1 --operations=100000)
	test "$status" -eq 0 || break
done
expect_seen '[1-9][0-9]* torn\|[1-9][0-9]* lost\|[1-9][0-9]* foreign' ./model-mutant
