#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The explorer sees what it is there to see: with any one flush or drain missing or late, it finds
# a violation.  Prints which scenario caught which mutant.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

missed=()
for mutant in $(./explore --list-mutants); do
	status=0
	./explore --mutant="$mutant" --seconds=120 > "$tmp/log" 2>&1 || status=$?
	case $status in
	0) missed+=("$mutant") catcher='NOT CAUGHT' ;;
	1) catcher=$(sed -n 's/^VIOLATION in: //p' "$tmp/log" | head -n 1) ;;
	*) fail "$mutant: $(tail -n 5 "$tmp/log")" ;;
	esac
	printf '%-32s %s\n' "$mutant" "$catcher"
done
test ${#missed[@]} -eq 0 || fail "not caught: ${missed[*]}"
