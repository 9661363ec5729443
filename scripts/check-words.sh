#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Reads docs/design.md, section 1.  Refuses a word that its first table explains twice, and the words that
# its second one has retired: a row has a word (an extended regular expression, of any case, with no letter
# before or after it, so in identifiers as well), what is said instead, and the folders in which it is
# refused, or none for all.  Run from anywhere in the source tree.

set -euo pipefail
cd "$(dirname "$0")/.."

status=0
refuse() {
	echo "check-words: $*" >&2
	status=1
}

glossary=$(sed -n '/^| word | meaning |/,/^$/s/^| \([^|]*\) |.*/\1/p' docs/design.md | tail -n +3)
twice=$(tr ',' '\n' <<< "$glossary" | sed 's/^ *//' | sort | uniq -d)
test -z "$twice" || refuse "explained twice: $twice"

# A line a row: word, what to say, folders.
retired() {
	# shellcheck disable=SC2016  # these are the table's own quotes
	sed -n '/^| not | but | in |/,/^$/s/^| `\(.*\)` | \(.*\) | *\(.*\)|$/\1\t\2\t\3/p' docs/design.md |
		sed 's/\\|/|/g'
}

rows=0
# The table itself.
skip=$(grep -nE '^\| `' docs/design.md | cut -d: -f1 | sed 's/.*/^docs\/design.md:&:/' | paste -sd'|')
while IFS=$'\t' read -r word instead folders; do
	rows=$((rows + 1))
	# A parameter's value follows at once.
	case $word in
	*=) end= ;;
	*) end='([^[:alpha:]]|$)' ;;
	esac
	found=0
	# shellcheck disable=SC2086
	lines=$(git grep --no-index --exclude-standard -niIE -e "(^|[^[:alpha:]])$word$end" -- ${folders:-.} \
		':!tests/fuzz/corpus-*' ':!COPYING') || found=$?
	test "$found" -le 1 || refuse "$word: cannot be looked for"
	lines=$(grep -vE "$skip" <<< "$lines" || true)
	test -z "$lines" || refuse "$word: say: $instead (docs/design.md, section 1):"$'\n'"$lines"
done < <(retired)
test "$rows" -gt 0 || refuse "docs/design.md has no table of retired words"
exit $status
