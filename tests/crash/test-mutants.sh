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
	./explore --mutant="$mutant" --seconds=120 "$@" > "$tmp/log" 2>&1 || status=$?
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

# Format clears the index by a hole, which is durable by itself, or else by stores, which are not;
# and destroys the superblocks by stores in any case.  Of a thick device the drain after clearing is
# not needed: the next, that of the entries, comes before a superblock, too.
for kind in no-flush no-drain late-drain; do
	hunt "$kind:PM_FORMAT_CLEAR" --scenario='format tight-full thin stores'
	hunt "$kind:PM_FORMAT_DESTROY" --scenario='format tight-full thin stores'
	hunt "$kind:PM_FORMAT_DESTROY" --scenario='format tight-full thin holes'
done
hunt no-flush:PM_FORMAT_CLEAR --scenario='format tight-full thick stores'

# What a crash does not show: a page reused under a reader.
grep -q 'test-grace-mutant.sh' "$abs_top_srcdir/tests/model/Makefile.am" ||
	missed+=('no grace period for readers')
row 'no grace period for readers' 'tests/model/test-grace-mutant.sh'

test ${#missed[@]} -eq 0 || fail "not caught: ${missed[*]}"
