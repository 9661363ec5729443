#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# bash completes the subcommands and the options that the command has, values of --type, and file
# names.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

# The command is asked for its options by the name that was typed.
mkdir "$tmp/bin"
ln -s "$kmemblk" "$tmp/bin/kmemblk"
PATH=$tmp/bin:$PATH
compopt() { :; } # bash's own needs a completion in progress
. "$abs_top_srcdir/tools/completions/kmemblk"

# completes WORDS... + EXPECTED...
completes() {
	local words=()
	while test "$1" != +; do
		words+=("$1")
		shift
	done
	shift
	COMP_WORDS=("${words[@]}")
	COMP_CWORD=$((${#words[@]} - 1))
	_kmemblk
	test "${COMPREPLY[*]}" = "$*" || fail "${words[*]}: ${COMPREPLY[*]} instead of $*"
}
mapfile -t subcommands < <("$kmemblk" --help |
	sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
completes kmemblk '' + "${subcommands[@]}" help version --help --usage --version
completes kmemblk fo + format
completes kmemblk check -- + --data --json --repair --help --usage --version
completes kmemblk format --cr + --create=
completes kmemblk format --type = + blk none
completes kmemblk format --type = n + none
touch "$tmp/one.img"
completes kmemblk info "$tmp/on" + "$tmp/one.img"
