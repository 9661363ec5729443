#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The includes show who calls whom.  This reads them, and
#
#  - says where one goes up: a folder includes itself and those before it in `order`; the borrower's side,
#    which is part of other people's programs, sees little of lib; and the plugin and the command only its
#    public headers, and how a name is written for people (base/shell, base/printable), which knows no other;
#    the command tells preload in preload/environment.h what to do, and looks whether a server is there;
#  - says where modules (a .c file and its .h file) make a circle;
#  - draws the rest, for docs/includes.md, which must be as it is drawn now.
#
# usage: scripts/check-includes.sh [--draw]     --draw writes docs/includes.md

set -euo pipefail
cd "$(dirname "$0")/.."

# From the bottom to the top.
order=(base media pages map io lend api control)

rank_of() {
	local i
	for i in "${!order[@]}"; do
		test "${order[i]}" != "$1" || echo "$i"
	done
}

# may_include FILE HEADER: both as from lib/, or a file of another folder.
may_include() {
	local from=${1%/*} to=${2%/*} a b
	test "$from" != "$to" || return 0
	case $from in
	borrow | ../preload)
		test "$to" = base || test "$to" = borrow || test "$from $2" = 'borrow lend/protocol.h'
		return
		;;
	../plugin | ../tools)
		test "$2" = base/shell.h || test "$2" = base/printable.h ||
			test "$from $2" = '../tools ../preload/environment.h' ||
			test "$from $2" = '../tools borrow/connection.h'
		return
		;;
	esac
	a=$(rank_of "$from")
	b=$(rank_of "$to")
	test -n "$a" && test -n "$b" && test "$b" -le "$a"
}

# An include is written as folder/name.h, from lib/, or, beside it, as name.h; else it is not seen below.
plain='"(config|kmemblk|kmemblk-borrower|kmemblk-control|kmemblk-allocator)\.h"|"[a-z]+/[a-z0-9-]+\.h"'
not_plain() {
	find lib -name '*.[ch]' ! -path 'lib/*/*' -o -name '*.[ch]' -path 'lib/*/*/*' || true
	grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' lib/*/*.[ch] |
		grep -vE "#include ($plain)\$" || true
	grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' preload/*.[ch] plugin/*.[ch] tools/*.[ch] |
		grep -vE "#include ($plain|\"[a-z]+(-[a-z]+)*\.h\")\$" || true
}

# FILE HEADER, a line each: what is included from lib, and, outside it, from the same folder.
includes() {
	(cd lib && grep -Eo '^#include "[a-z]+/[a-z0-9-]+\.h"' -- */*.[ch] ../preload/*.[ch] ../plugin/*.[ch] \
		../tools/*.[ch]) | sed -E 's/:#include "(.*)"$/ \1/'
	local folder
	for folder in preload plugin tools; do
		(cd "$folder" && grep -Eo '^#include "[a-z]+(-[a-z]+)*\.h"' -- *.[ch]) |
			sed -E "s|(.*):#include \"(.*)\"|../$folder/\1 ../$folder/\2|" |
			while read -r file header; do
				if test -e "lib/$header"; then
					echo "$file $header"
				elif test -e "preload/${header##*/}"; then
					echo "$file ../preload/${header##*/}"
				fi
			done
	done
}

edges=$(includes)
status=0
if not_plain | grep . >&2; then
	echo "write each include as \"folder/name.h\", and have each file of lib in one of its folders" >&2
	status=1
fi
while read -r file header; do
	may_include "$file" "$header" || {
		echo "lib/$file includes \"$header\": calls go one way: ${order[*]} (scripts/check-includes.sh)" >&2
		status=1
	}
done <<< "$edges"

# MODULE MODULE: without those to itself.
modules=$(sed -E 's/\.[ch]( |$)/\1/g' <<< "$edges" | awk '$1 != $2' | sed 's|\.\./||g' | sort -u)
if ! circle=$(tsort <<< "$modules" 2>&1 > /dev/null); then
	printf '%s\n' "modules that include each other in a circle:" "$circle" >&2
	status=1
fi

draw() {
	local folder at
	cat << 'END'
# Who includes whom

Made by `scripts/check-includes.sh --draw`; `make check-style` fails if it is not as the source is now, if
an arrow goes up, or if there is a circle.  An arrow between two folders means that some module of the one
includes a module of the other; arrows inside a folder are between modules.

```mermaid
flowchart TD
END
	for folder in control api lend io map pages media base borrow preload plugin tools; do
		echo "  subgraph $folder"
		at=$folder
		test ! -d "lib/$folder" || at=lib/$folder
		find "$at" -name '*.[ch]' | sed 's|^lib/||' | sed -E 's/\.[ch]$//' | sort -u |
			sed -E 's|(.*)/(.*)|    \1/\2[\2]|'
		grep -E "^$folder/[^ ]* $folder/" <<< "$modules" | sed -E 's/(.*) (.*)/    \1 --> \2/' || true
		echo '  end'
	done
	sed -E 's|([a-z]+)/[^ ]* ([a-z]+)/.*|\1 \2|' <<< "$modules" | awk '$1 != $2' | sort -u |
		sed -E 's/(.*) (.*)/  \1 --> \2/'
	echo '```'
}

if test "${1:-}" = --draw; then
	draw > docs/includes.md
elif ! draw | diff docs/includes.md - >&2; then
	echo "docs/includes.md is not as the source is; type: scripts/check-includes.sh --draw" >&2
	status=1
fi
exit $status
