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
	hunt "$kind:PM_FORMAT_DESTROY" --scenario='format tight-full sparse stores'
	hunt "$kind:PM_FORMAT_DESTROY" --scenario='format tight-full sparse holes'
	hunt "$kind:PM_FORMAT_ENTRIES" --scenario='format tight-full sparse stores'
	hunt "$kind:PM_FORMAT_ENTRIES" --scenario='format tight-full thick holes'
done
hunt no-flush:PM_FORMAT_CLEAR --scenario='format many sparse stores'
hunt no-flush:PM_FORMAT_CLEAR --scenario='format tight-full thick stores'

# Repair of the directory, and of its copy.
hunt no-flush:PM_DIRECTORY --scenario='repair many directory-turned'
for kind in no-flush no-drain; do
	hunt "$kind:PM_DIRECTORY_COPY" --scenario='repair many directory-copy-turned'
done

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

# What volumes and snapshots share: most is told when the run is over, by an audit of all pages and sums.
two_owners='page 6 is reclaimed, and has another owner'
page write-shared 'volumes shared | write:a:0' "$two_owners"
page retire-shared 'volumes shared | write:a:0' "$two_owners"
page leave-own 'volumes kept | write:a:0' 'pool: pages without an owner: 1, and by the maps 0'
page old-predecessor 'volumes kept | snapshot:a@z write:a:0'
page no-guarantee 'volumes kept | snapshot:a@z' 'pool: reserved: '
page no-guarantee 'volumes kept | clone:a@x:c' 'pool: reserved: '
page no-guarantee 'volumes kept thin:a | notthin:a' 'pool: reserved: '
page no-sweep 'volumes kept | delete:a@x' 'pool: tables: '
page no-gate 'volume-threads kept-low write:a:0 snapshot:a@z trim:a:1 | 0 1:1 2:1 1 2' \
	'z: pages of blocks: '
page no-gate-grace 'volume-threads kept-low write:a:0 snapshot:a@z trim:a:1 | 0 2:1 1 2' \
	'z: pages of blocks: '
page same-epoch 'volume-threads kept-low write:a:0 snapshot:a@z write:a:0 | 0 1 2'
page no-sweep-grace 'volume-threads kept-low write:a:0 delete:a@x write:a:1 | 0 2:2 1:1 2 1' \
	'pool: pages of blocks: '
page no-mark 'volume-threads kept-low write:a:0 delete:a@x write:a:1 | 0 1:1 2 1' \
	'pool: pages of blocks: '
# Copies of shared tables, a leaf that is dropped, and what names a snapshot.
for kind in no-flush no-drain late-drain publish-first; do
	hunt "$kind:PM_TABLE_CONTENTS" --scenario='volumes shared | write:a:0'
done
hunt no-flush:PM_TABLE_ENTRY --scenario='volumes shared | write:a:0'
for kind in no-flush no-drain; do
	hunt "$kind:PM_TRIM_ENTRY" --scenario='volumes shared-low | trim:a:0'
done
for kind in no-flush no-drain late-drain publish-first; do
	hunt "$kind:PM_RECORD" --scenario='volumes kept | snapshot:a@z'
	hunt "$kind:PM_RECORD" --scenario='volumes kept-low | clone:a@x:c'
	hunt "$kind:PM_RECORD" --scenario='volumes kept | rollback:a@x'
	hunt "$kind:PM_RECORD" --scenario='volumes kept | thin:a'
done
for kind in no-flush no-drain late-drain; do
	hunt "$kind:PM_DIRECTORY" --scenario='volumes kept | delete:a@x'
done
# A leaf without a block is given up, and its page used at once.
for kind in no-flush no-drain late-drain; do
	page "$kind:PM_TRIM_ENTRY" 'volumes leaves | create:c:1'
	page "$kind:PM_TRIM_ENTRY" 'volumes leaves | write:a:511'
done
page early-retire:PM_TRIM_ENTRY 'volume-threads leaves create:c:1 write:a:0 | 0:3 1 0'
# A volume becomes thin, by a snapshot on a device that is too full otherwise or by itself, or is thin no more.
for kind in no-flush no-drain late-drain publish-first; do
	page "$kind:PM_RECORD" 'volumes brim | snapthin:a@z'
done
for kind in no-flush no-drain late-drain; do
	hunt "$kind:PM_DIRECTORY" --scenario='volumes brim | snapthin:a@z'
done
page thin-last 'volumes brim | snapthin:a@z'
page early-room 'volume-threads kept-full thin:a write:b:1 | 0:3 1 0'
page late-room 'volume-threads thin-full notthin:a write:b:1 | 0:5 1 0'

# What a crash does not show: a page reused under a reader.
grep -q 'test-grace-mutant.sh' "$abs_top_srcdir/tests/model/Makefile.am" ||
	missed+=('no grace period for readers')
row 'no grace period for readers' 'tests/model/test-grace-mutant.sh'
# And a page that is lent and taken, under many threads.
grep -q 'test-lend-mutant.sh' "$abs_top_srcdir/tests/model/Makefile.am" ||
	missed+=('lent pages are taken')
row 'lent pages are taken' 'tests/model/test-lend-mutant.sh'

test ${#missed[@]} -eq 0 || fail "not caught: ${missed[*]}"
