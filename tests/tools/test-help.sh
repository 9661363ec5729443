#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# --help, --usage and --version of the command and of each subcommand exit with 0 and teach; so do -h, help and version,
# and a slip of the finger in a subcommand's name.

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

"$kmemblk" --help > "$tmp/help"
for arguments in -h help; do
	"$kmemblk" $arguments | cmp - "$tmp/help" || fail "kmemblk $arguments says something else than --help"
done
for subcommand in snapshot run; do
	"$kmemblk" $subcommand --help > "$tmp/help"
	"$kmemblk" help $subcommand | cmp - "$tmp/help" || fail "kmemblk help $subcommand is not its help"
	"$kmemblk" $subcommand -h | cmp - "$tmp/help" || fail "kmemblk $subcommand -h is not its help"
done
status 0 "$kmemblk" version
says out '^kmemblk [0-9]+\.[0-9]+\.[0-9]+ \(libkmemblk [0-9]+\.[0-9]+\.[0-9]+\)$'

# meant TYPED SUBCOMMAND
meant() {
	status 16 "$kmemblk" "$1"
	says err "^kmemblk: unknown subcommand '$1': did you mean '$2'\\?\$"
}
meant snapshto snapshot
meant snapsho snapshot
meant lst list
meant dif diff
for typed in xyz volumes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ''; do
	status 16 "$kmemblk" "$typed"
	says err "^kmemblk: unknown subcommand '$typed'\$"
done
status 16 "$kmemblk" help snapshto
says err "did you mean 'snapshot'"
