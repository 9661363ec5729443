#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --help, --usage and --version of the command and of each subcommand exit with 0 and teach.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

status 0 "$kmemblk" --help
silent err
for subcommand in format info check grow list create delete rename resize snapshot clone rollback thin run stat top; do
	says out "^  $subcommand +[a-z]"
done
for subcommand in '' format info check grow list create delete rename resize snapshot clone rollback thin run stat top; do
	status 0 "$kmemblk" $subcommand --help
	silent err
	says out "^Usage: kmemblk $subcommand"
	says out "^  kmemblk ${subcommand:-format} "
	test "$(wc -L < "$tmp/out")" -lt 80 || fail "a line is wider than a terminal"
	status 0 "$kmemblk" $subcommand --usage
	says out "^Usage: kmemblk $subcommand"
	status 0 "$kmemblk" $subcommand --version
	says out '^kmemblk [0-9]+\.[0-9]+\.[0-9]+ \(libkmemblk [0-9]+\.[0-9]+\.[0-9]+\)$'
done
