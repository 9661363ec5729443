#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A word that docs/design.md has retired is refused, in its folders, also in identifiers, and named with
# what to say instead; so is one that it explains twice.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

requires git --version

tree=$tmp/tree
mkdir -p "$tree/docs" "$tree/scripts" "$tree/lib" "$tree/man"
cp "$abs_top_srcdir/docs/design.md" "$tree/docs/"
cp "$abs_top_srcdir/scripts/check-words.sh" "$tree/scripts/"
cd "$tree"
scripts/check-words.sh

# refuse FILE LINE INSTEAD; and allow FILE LINE.  The words are written in two, for the same check reads
# this file.
refuse() {
	echo "$2" > "$1"
	expect_error 1 "check-words: .* say: .*$3" scripts/check-words.sh
	rm "$1"
}
allow() {
	echo "$2" > "$1"
	scripts/check-words.sh || fail "refused: $1: $2"
	rm "$1"
}

refuse lib/a.c 'the page is relea''sed' 'reclaim'
refuse man/a.pod 'C<keep''=> says how much' 'watermark'
refuse README.md 'try reclaim''-timeout=5' 'recall'
refuse lib/a.c '/* The slot of this CPU. */' 'cache'
refuse lib/a.c 'put(object, "Pages_Ad''mitted", count);' 'reserve'
refuse lib/a.c 'KMEMBLK_RELEA''SED' 'reclaim'
refuse lib/a.c 'if (strcmp(key, "keep''") == 0)' 'watermark'
refuse SECURITY.md '(`relea''se=punch`)' 'punch'
allow lib/a.c 'atomic_store_explicit(&a, 1, memory_order_release);'
allow man/a.pod 'what is promised'

cp docs/design.md design.md
sed -i 's/^| watermark |.*/&\n| watermark, mark | something else |/' docs/design.md
expect_error 1 'explained twice: watermark' scripts/check-words.sh
sed 's/^| not | but | in |/| not | but | where |/' design.md > docs/design.md
expect_error 1 'no table of retired words' scripts/check-words.sh
sed 's/^| .drop''ping. |/| \x60drop(ping\x60 |/' design.md > docs/design.md
expect_error 1 'cannot be looked for' scripts/check-words.sh
