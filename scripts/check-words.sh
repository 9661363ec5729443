#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Refuses the words that docs/design.md, section 1, has retired: each row of its second table has a word
# (an extended regular expression, matched as a whole word), what is said instead, and the folders in
# which it is refused, or none for all.  Run from anywhere in the source tree.

set -euo pipefail
cd "$(dirname "$0")/.."

# A line a row: word, what to say, folders.
retired() {
	# shellcheck disable=SC2016  # these are the table's own quotes
	sed -n '/^| not | but | in |/,/^$/s/^| `\(.*\)` | \(.*\) | *\(.*\)|$/\1\t\2\t\3/p' docs/design.md |
		sed 's/\\|/|/g'
}

status=0
# The table itself, inputs of the fuzzers, and what others wrote.
skip='^docs/design\.md:[0-9]*:\| `|^Binary file'
while IFS=$'\t' read -r word instead folders; do
	# A parameter's value follows at once.
	case $word in
	*=) ;;
	*) word+='\b' ;;
	esac
	# shellcheck disable=SC2086
	if git grep --no-index --exclude-standard -nIE -e "\b$word" -- ${folders:-.} ':!tests/fuzz/corpus-*' ':!COPYING' |
		grep -vE "$skip"; then
		echo "check-words: $word: say: $instead (docs/design.md, section 1)" >&2
		status=1
	fi
done < <(retired)
exit $status
