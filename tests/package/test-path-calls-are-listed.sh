#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# docs/paths.txt names every call that changes an object by its path; one that is new is refused, and
# so is a place in the list for one that is gone, or without a guard.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires perl -e 1
check=$abs_top_srcdir/scripts/check-paths.sh
"$check" "$abs_top_srcdir" || fail "the list and the sources differ"

# changed FILE TEXT: a copy of the sources where FILE has that line more.
tree=$tmp/tree
changed() {
	rm -rf "$tree"
	mkdir "$tree" "$tree/docs"
	for folder in $(cd "$abs_top_srcdir" && echo lib/*/) plugin tools preload examples; do
		mkdir -p "$tree/$folder"
		cp "$abs_top_srcdir/$folder/"*.[ch] "$tree/$folder/"
	done
	cp "$abs_top_srcdir/docs/paths.txt" "$tree/docs/"
	chmod -R u+w "$tree"
	echo "$2" >> "$tree/$1"
}

changed tools/command-info.c '/* unlink(path); */ const char *s = "do not /* close"; // rename(a, b)'
"$check" "$tree" || fail "comments are taken for calls"

refuse() {
	changed "$1" "$2"
	expect_error 1 "$3" "$check" "$tree"
}
refuse tools/command-info.c 'int f(void) { return unlink ("x"); }' '^> tools/command-info.c unlink 1$'
refuse lib/media/claim.c 'int f(void) { return chmod("x", 0); }' '^> lib/media/claim.c chmod 1$'
refuse lib/lend/listen.c 'int f(void) { return bind(0, 0, 0); }' '^> lib/lend/listen.c bind 2$'
refuse plugin/node.c 'int f(void) { return open("x", O_WRONLY |
	O_CREAT, 0600); }' '^> plugin/node.c O_CREAT 1$'
refuse examples/hello.c 'FILE *f(void) { return fopen("x",
	"we"); }' '^> examples/hello.c fopen 1$'
refuse preload/heap.c 'long f(void) { return syscall(SYS_renameat2, 0); }' '^> preload/heap.c renameat2 1$'
refuse docs/paths.txt 'lib/gone.c unlink 1  only what is ours is removed' '^< lib/gone.c unlink 1$'
refuse docs/paths.txt 'lib/gone.c unlink 1' 'what guards it'

# What reads is no such call.
changed tools/command-info.c 'FILE *f(void) { return fopen("x", "re"); } int g(void) { return open("x", O_RDWR); }'
"$check" "$tree" || fail "what only reads is refused"
