#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# An include that goes up, a circle of modules, and a drawing that is not of this source are refused.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

"$abs_top_srcdir/scripts/check-includes.sh" || fail "the source is not as it should be"

# copy: the part of the source that it reads, in $tree.
tree=$tmp/tree
copy() {
	rm -rf "$tree"
	mkdir "$tree" "$tree/docs" "$tree/scripts"
	cp "$abs_top_srcdir/docs/includes.md" "$tree/docs/"
	cp "$abs_top_srcdir/scripts/check-includes.sh" "$tree/scripts/"
	for folder in plugin tools preload lib/*/; do
		mkdir -p "$tree/$folder"
		cp "$abs_top_srcdir/$folder/"*.[ch] "$tree/$folder/"
	done
	chmod -R u+w "$tree"
}

# refuse FILE HEADER MESSAGE [NUMBER]: FILE includes HEADER, also when that is drawn.
refuse() {
	copy
	echo "#include \"$2\"" >> "$tree/$1"
	"$tree/scripts/check-includes.sh" --draw > "$tmp/out" 2>&1 || true
	expect_error 1 "$3" "$tree/scripts/check-includes.sh"
}

cd "$abs_top_srcdir"
refuse lib/media/pm.c pages/pool.h 'lib/media/pm.c includes "pages/pool.h": calls go one way'
refuse lib/io/read.c lend/server.h 'lib/io/read.c includes "lend/server.h"'
refuse lib/borrow/borrower.c lend/server.h 'lib/borrow/borrower.c includes "lend/server.h"'
refuse lib/lend/server.c borrow/borrower.h 'lib/lend/server.c includes "borrow/borrower.h"'
refuse preload/preload.c media/pm.h 'preload.c includes "media/pm.h"'
refuse tools/main.c base/error.h 'tools/main.c includes "base/error.h"'
refuse lib/pages/pool.h pages/storage.h 'in a circle'

refuse preload/libc.h calls.h 'in a circle'
refuse plugin/value.h memory-parameters.h 'in a circle'
# Written so that it would not be seen.
refuse lib/base/thread.c ../pages/pool.h 'write each include as'
refuse lib/pages/pool.c cache.h 'write each include as'
refuse tools/json.c ../lib/pages/pool.h 'write each include as'
refuse plugin/value.c preload/heap.h 'plugin/value.c includes "preload/heap.h"'
copy
printf '#  include "pages/pool.h"\n' >> "$tree/lib/base/thread.c"
expect_error 1 'write each include as' "$tree/scripts/check-includes.sh"
copy
mkdir "$tree/lib/base/deep"
echo '#include "pages/pool.h"' > "$tree/lib/base/deep/a.c"
expect_error 1 'write each include as' "$tree/scripts/check-includes.sh"

copy
echo '#include "media/pm.h"' >> "$tree/lib/media/owned.c"
expect_error 1 'type: scripts/check-includes.sh --draw' "$tree/scripts/check-includes.sh"
"$tree/scripts/check-includes.sh" --draw
"$tree/scripts/check-includes.sh"
