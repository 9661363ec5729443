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
calls+='|truncate|truncate64|creat|creat64|openat2|shm_open|shm_unlink'
calls+='|mkstemp|mkstemps|mkostemp|mkostemps|mkstemp64|mkstemps64|mkostemp64|mkostemps64'
calls+='|chmod|lchmod|fchmodat|fchmodat2|chown|lchown|fchownat|utime|utimes|lutimes|futimesat|utimensat'
calls+='|setxattr|lsetxattr|removexattr|lremovexattr|mount|umount|umount2'
# Other programs, which change what they like.
calls+='|system|popen|execl|execle|execlp|execv|execve|execvp|execvpe|execveat|fexecve'
calls+='|posix_spawn|posix_spawnp|posix_spawn_file_actions_addopen'

# What reads a source in perl: a line for each call.  open() is one if its flags are not names of
# constants, fopen() if its mode writes or is no string, syscall() if it is one of these calls, or of a
# number that has no name.  &NAME is the name of a call without one: a pointer to it, a macro, or, by
# bad luck, a variable.
# shellcheck disable=SC2016
reader='
	use strict;
	my $calls = "CALLS";
	# Strings stay in $_, since they are modes; in $code they and characters are empty.
	s{("(?:\\.|[^"\\])*"|\x27(?:\\.|[^\x27\\])+\x27)|/\*.*?\*/|//[^\n]*}{$1 // " "}gse;
	s{^\s*\#\s*include\b[^\n]*}{}gm;
	(my $code = $_) =~ s{"(?:\\.|[^"\\])*"|\x27(?:\\.|[^\x27\\])+\x27}{""}g;
	my $list = qr{(\((?:[^()]++|(?-1))*+\))};
	# The argument of that number, without the blanks around it.
	sub argument {
		my ($text, $number) = @_;
		my @parts = ("");
		my $depth = 0;
		for my $part (split /([(),])/, substr($text, 1, -1)) {
			$depth += $part eq "(" ? 1 : $part eq ")" ? -1 : 0;
			if ($part eq "," && !$depth) { push @parts, "" } else { $parts[-1] .= $part }
		}
		my $found = $parts[$number] // "";
		$found =~ s/^\s+|\s+$//g;
		return $found;
	}
	print "$1\n" while $code =~ /\b($calls)\s*\(/g;
	print "&$1\n" while $code =~ /(?<![\w.])(?<!->)($calls)\b(?!\s*\()/g;
	print "$1\n" while $code =~ /\b(?:SYS|__NR)_($calls)\b/g;
	print "syscall\n" while $code =~ /\bsyscall\s*\((?!\s*(?:SYS|__NR)_\w+\s*[,)])/g;
	print "&$1\n" while $code =~ /(?<![\w.])(?<!->)(syscall|open(?:at)?(?:64)?|f(?:re)?open(?:64)?)\b(?!\s*\()/g;
	print "$1\n" while $code =~ /\b(O_CREAT|O_TRUNC|O_TMPFILE)\b/g;
	while ($code =~ /\b(open(at)?(?:64)?)\s*$list/g) {
		my ($name, $flags) = ($1, argument($3, $2 ? 2 : 1));
		print "$name\n" unless $flags =~ /\bO_/ && $flags =~ /^(?:O_[A-Z]+|[\s()|])+$/;
	}
	while ($code =~ /\b(f(?:re)?open)(?:64)?\s*$list/g) {
		my ($name, $mode) = ($1, argument($2, 1));
		print "$name\n" unless $mode =~ /^""$/;
	}
	print "$1\n" while /\b(f(?:re)?open)(?:64)?\s*\([^;]*?"(?:[wa]|r[a-z]*\+)/g;'
reader=${reader/CALLS/$calls}

# found: a line "FILE CALL COUNT" for each, sorted.
found() {
	local file
	for file in lib/*/*.[ch] plugin/*.[ch] tools/*.[ch] preload/*.[ch] examples/*.c; do
		perl -0777 -ne "$reader" "$file" | sort | uniq -c | while read -r count call; do
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
