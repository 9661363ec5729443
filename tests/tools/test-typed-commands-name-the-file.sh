#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A command that a message tells to type names the file, as one word, whatever characters are in its
# name; and none of them reaches the terminal as it is.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

cd "$tmp"
mkdir -- disks
cd disks

# read_back PROGRAM NUMBER COMMAND NAME: the command, which is not run, has that many words, and NAME is
# its last; each of two commands that are joined, and of a parameter what is behind its "=".
read_back() {
	local program=$1 number=$2 command=$3 name=$4
	! LC_ALL=C grep -q '[[:cntrl:]]' <<< "$command" || fail "not printable: $(od -c <<< "$command")"
	eval "set -- ${command// && / joined }"
	test "$1" = "$program" || fail "not $program: $command"
	test $# -eq "$number" || fail "$# words instead of $number: $command"
	test "${!#}" -ef "$name" || test "${!#}" = "$name" || test "${!#}" = "./$name" ||
		fail "the last word of <$command> is not <$name>"
	test "$number" -ne 7 || test "$3 $4" = "${!#} joined" || fail "not one name: $command"
}

# propose PROGRAM NUMBER NAME [PATTERN]: what the last command has said proposes that, behind PATTERN.
propose() {
	harmless
	read_back "$1" "$2" "$(sed -nE "s/.*${4:-type: }($1 .*)/\1/p" "$tmp/err" | sed 's/; read-only.*//')" "$3"
}

harmless() {
	! LC_ALL=C grep -q $'[\001-\010\013-\037\177]' "$tmp/err" || fail "reaches the terminal: $(od -c "$tmp/err")"
}

# shellcheck disable=SC2016
names=('my disk' "it's" 'a;touch oops' $'my\033[2Jdisk' '$(touch oops)' '-x' $'all \'of;\033 "$(touch oops)`touch oops`%s\\'
	plain.img $'\302\2332J' 'a=b')
for name in "${names[@]}"; do
	for command in info check format; do
		status 8 "$kmemblk" "$command" -- "$name"
		says err 'no such file; to make one'
		propose kmemblk 4 "$name"
	done
	: > "./$name"
	status 8 "$kmemblk" info -- "$name"
	says err 'not a kmemblk device, and empty'
	propose truncate 7 "$name"
	rm -- "$name"

	status 0 "$kmemblk" format --create=1M -- "$name"
	line=$(sed -n 's/^Serve it:  //p' "$tmp/out")
	eval "set -- ${line/path=/}"
	test $# -eq 3 || fail "not one name: $line"
	test "$3" -ef "./$name" || fail "not the name: $line"
	device=./$name
	if nbdkit --version > /dev/null 2>&1; then
		# What it warns of, and what to make of memory that is no disk.
		nbdkit -U - "$plugin" path="./$name" --run true 2> "$tmp/err"
		harmless
		"$kmemblk" format --create=1M --type=none ./none > "$tmp/out"
		cp none "$device"
		rm none
		! nbdkit -U - "$plugin" path="./$name" --run true 2> "$tmp/err" || fail "serves memory"
		propose kmemblk 5 "$name" 'make a disk of it: '
		"$kmemblk" format --force "$device" > "$tmp/out"
	fi
	entry 0 999999
	status 4 "$kmemblk" check -- "$name"
	if nbdkit --version > /dev/null 2>&1; then
		! nbdkit -U - "$plugin" path="./$name" --run true 2> "$tmp/err" || fail "a damaged device is served"
		says err 'the map is damaged'
		propose kmemblk 3 "$name"
	fi
	rm -- "./$name"
done
test ! -e oops || fail "what a message says was run"

# What a path is cut to is another path: nothing to type is made of it.
long=$(printf 'x%.0s' {1..250})/$(printf 'y %.0s' {1..100})
mkdir "${long%/*}"
status 8 "$kmemblk" info "$long"
says err 'type: kmemblk format --create=SIZE PATH$'

# Nothing is proposed that would fail.
status 8 "$kmemblk" info "$tmp/none/disk"
says err "^kmemblk: open: $tmp/none/disk: no such file, and its folder does not exist$"
ln -s "$tmp/nothing" leads-nowhere
status 8 "$kmemblk" info leads-nowhere
says err '^kmemblk: open: leads-nowhere: a symbolic link that leads to nothing$'
status 8 "$kmemblk" info ''
says err '^kmemblk: open: no path is given'
