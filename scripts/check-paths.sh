#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Every call in the sources that changes an object by its path stands in docs/paths.txt, with what
# keeps it from the wrong object; and the list names no other.  check-style calls it.
#
# usage: scripts/check-paths.sh [TREE]      by default the one that the script is in

set -uo pipefail
cd "${1:-$(dirname "$0")/..}" || exit 1

calls='unlink|unlinkat|remove|rename|renameat|renameat2|link|linkat|symlink|symlinkat'
calls+='|mkdir|mkdirat|rmdir|mkdtemp|mknod|mknodat|mkfifo|mkfifoat|bind'
calls+='|truncate|truncate64|creat|creat64|mkstemp|mkstemps|mkostemp|mkostemps|shm_open|shm_unlink'
calls+='|chmod|fchmodat|chown|lchown|fchownat|utime|utimes|lutimes|futimesat|utimensat'
calls+='|setxattr|lsetxattr|removexattr|lremovexattr|mount|umount|umount2'

# found: a line "FILE CALL COUNT" for each, sorted.  What a file is opened with counts as a call; system
# calls by number count as the call of that name.
found() {
	local file
	for file in lib/*/*.[ch] plugin/*.[ch] tools/*.[ch] preload/*.[ch] examples/*.c; do
		# Comments first; strings stay, since they are the mode of fopen().
		perl -0777 -ne '
			s{("(?:\\.|[^"\\])*")|/\*.*?\*/|//[^\n]*}{$1 // " "}gse;
			print "$+\n" while /\b('"$calls"')\s*\(|\bSYS_('"$calls"')\b/g;
			print "$1\n" while /\b(O_CREAT|O_TRUNC|O_TMPFILE)\b/g;
			print "$1\n" while /\b(f(?:re)?open)(?:64)?\s*\([^;]*?"(?:[wa]|r[a-z]*\+)/g;' "$file" |
			sort | uniq -c | while read -r count call; do
			echo "$file $call $count"
		done
	done | LC_ALL=C sort
}

listed() {
	grep -v '^#' docs/paths.txt | awk 'NF { print $1, $2, $3 }' | LC_ALL=C sort
}

# A guard is a sentence, not a place left empty.
awk '!/^#/ && NF && NF < 6 { print "docs/paths.txt: " $0 ": what guards it?"; bad = 1 } END { exit bad }' \
	docs/paths.txt >&2 || exit 1

difference=$(diff <(listed) <(found)) && exit 0
cat >&2 << END
Calls that change an object by its path, and docs/paths.txt (<), differ from the sources (>):
$(grep '^[<>]' <<< "$difference")
Write into docs/paths.txt: FILE CALL COUNT, and what keeps the call from an object that is not ours.
END
exit 1
