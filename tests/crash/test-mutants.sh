#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The explorer sees what it is there to see: with any one rule of order broken, it finds a violation.
# Prints a table of mutants and what has caught each.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

missed=()

# row MUTANT CATCHER
row() {
	printf '%-36s %s\n' "$1" "$2"
}

# hunt MUTANT [ARGUMENT...]: a row; in `missed` if it is not caught
hunt() {
	local mutant=$1 status=0 catcher
	shift
	# Until one is caught: what is not must not look as if the machine were slow.
	./explore --mutant="$mutant" --seconds=1000000 "$@" > "$tmp/log" 2>&1 || status=$?
	case $status in
	0) missed+=("$mutant $*") catcher='NOT CAUGHT' ;;
	1) catcher=$(sed -n "s/^VIOLATION: .*--scenario='\\(.*\\)' --image=\\([0-9.]*\\).*/\\1, image \\2/p" \
		"$tmp/log" | head -n 1) ;;
	*) fail "$mutant: $(tail -n 5 "$tmp/log")" ;;
	esac
	row "$mutant" "$catcher"
}

row 'mutant' 'catcher'
for mutant in $(./explore --list-mutants); do
	hunt "$mutant"
done

# Format clears the directory by a hole, which is durable by itself, or else by stores, which are not;
# and destroys the superblocks by stores in any case.
for kind in no-flush no-drain late-drain; do
	hunt "$kind:PM_FORMAT_DESTROY" --scenario='format tight-full thin stores'
	hunt "$kind:PM_FORMAT_DESTROY" --scenario='format tight-full thin holes'
	hunt "$kind:PM_FORMAT_ENTRIES" --scenario='format tight-full thin stores'
	hunt "$kind:PM_FORMAT_ENTRIES" --scenario='format tight-full thick holes'
done
hunt no-flush:PM_FORMAT_CLEAR --scenario='format many thin stores'
hunt no-flush:PM_FORMAT_CLEAR --scenario='format tight-full thick stores'

# A table where a table of the same place was once: what it held then is as good as new.
for mutant in {no-flush,no-drain,late-drain,publish-first}:PM_TABLE_CONTENTS; do
	hunt "$mutant" --scenario='volumes deep resize:a:1 resize:a:262145 | write:a:262144'
done
# And tables that have been put above an old root.  That a drain of theirs is late does not show: the record's,
# which is late too, then has what that one should have had.
for kind in no-flush no-drain publish-first; do
	hunt "$kind:PM_RECORD" --scenario='volumes two | resize:a:262145'
done

# page MUTANT SCENARIO [SENTENCE]: the same for what is done with free pages, where the scenario must
# be clean without the mutant.  With a sentence, it is not an image that shows it: the run itself ends
# so, as the request would that is refused or waits for ever.
page() {
	local mutant=$1 scenario=$2 sentence=${3:-} status=0
	./explore --scenario="$scenario" > "$tmp/log" 2>&1 ||
		fail "without a mutant: $(tail -n 5 "$tmp/log")"
	if test -z "$sentence"; then
		hunt "$mutant" --scenario="$scenario"
		return
	fi
	./explore --mutant="$mutant" --scenario="$scenario" > "$tmp/log" 2>&1 || status=$?
	if test $status -eq 2 && grep -qF ": $sentence" "$tmp/log"; then
		row "$mutant" "$scenario: $sentence"
	else
		missed+=("$mutant $scenario")
		row "$mutant" 'NOT CAUGHT'
	fi
}

# Free pages that are given away, or given back, against the rules.
refused='refused, though each of its blocks has a page'
page punch-needed 'requests no-room punch@0+0 fill@0+0 | write@0+4096' "$refused"
page punch-uncounted \
	'requests little-room write@0+4096 trim@0+4096 punch@0+0 fill@0+0 | write@0+4096' \
	'waits for pages, and none has been retired'
page punch-retired 'threads roomy-full write@0+4096 punch@0+0 | 0:3 1 0'
page punch-taken 'threads roomy-full write@0+4096 punch@0+0 | 0:2 1 0'
page punch-taken 'requests roomy-full write@0+4096 | punch@0+0'
page lend-needed 'requests tight-full lend@0+4096 | write@0+4096' "$refused"
page lend-retired 'threads roomy-full write@0+4096 lend@0+4096 | 0:3 1 0'
page lend-twice 'requests roomy-full lend@0+4096 write@0+4096 | return@0+0'
page return-twice \
	'requests tight-empty write@0+4096 lend@0+12288 return@0+0 write@0+16384 return-again@0+0 | write@0+16384'
page return-uncounted 'requests tight-empty lend@0+16384 return@0+0 | write@0+16384' \
	'refused, though there is a page for each block'
page no-storage 'requests little-room | write@0+4096' 'a store to page'

# What a crash does not show: a page reused under a reader.
grep -q 'test-grace-mutant.sh' "$abs_top_srcdir/tests/model/Makefile.am" ||
	missed+=('no grace period for readers')
row 'no grace period for readers' 'tests/model/test-grace-mutant.sh'
# And a page that is lent and taken, under many threads.
grep -q 'test-lend-mutant.sh' "$abs_top_srcdir/tests/model/Makefile.am" ||
	missed+=('lent pages are taken')
row 'lent pages are taken' 'tests/model/test-lend-mutant.sh'

test ${#missed[@]} -eq 0 || fail "not caught: ${missed[*]}"
