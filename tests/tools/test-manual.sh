#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The manual page describes each subcommand and each option that the command has, and no other.  Its
# NAME and the table of README.md name the same subcommands.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

pod=$abs_top_srcdir/man/kmemblk.pod

# section TITLE: the part of the page under that heading.
section() {
	sed -n "/^=head2 $1\$/,/^=head[12] /p" "$pod"
}

"$kmemblk" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p' > "$tmp/subcommands"
grep -q . "$tmp/subcommands" || fail "no subcommands in --help"
sed -n 's/^=head2 kmemblk \([a-z]*\)$/\1/p' "$pod" > "$tmp/documented"
diff "$tmp/subcommands" "$tmp/documented" >&2 || fail "subcommands differ from $pod"

# One list, wherever there is one: NAME ends with it, and so does the line of README's table.
joined=$(paste -sd, "$tmp/subcommands")
sed -n '/^=head1 NAME/,/^=head1 SYNOPSIS/p' "$pod" | grep -v '^=' | tr -d ' \n' > "$tmp/name"
grep -q ":$joined\$" "$tmp/name" || fail "NAME of $pod does not end with the subcommands $joined"
sed -n 's/^| kmemblk(1) | \(.*\) |$/\1/p' "$abs_top_srcdir/README.md" | tr -d ' ' > "$tmp/name"
test "$(cat "$tmp/name")" = "$joined" || fail "README.md says $(cat "$tmp/name") instead of $joined"

while read -r subcommand; do
	# Some have none.
	"$kmemblk" "$subcommand" --usage | { grep -o -e '--[a-z]*\(=[A-Z]*\)\?' || true; } |
		{ grep -vxE -e '--(help|usage|version)' || true; } | sort > "$tmp/options"
	section "kmemblk $subcommand" | { grep '^=item' || true; } |
		{ grep -o -e '--[a-z]*\(=[A-Z]*\)\?' || true; } | sort > "$tmp/documented"
	diff "$tmp/options" "$tmp/documented" >&2 ||
		fail "options of $subcommand differ from $pod"
	grep -q "^  *kmemblk $subcommand \[" "$pod" || fail "$subcommand is not in the SYNOPSIS"
	while IFS= read -r option; do
		sed -n '/^=head1 SYNOPSIS/,/^=head1 DESC/p' "$pod" | grep -qF -e "$option" ||
			fail "$option of $subcommand is not in the SYNOPSIS"
	done < "$tmp/options"
done < "$tmp/subcommands"

# What info tells, on whatever media.
"$kmemblk" format --create=1M "$tmp/disk" > "$tmp/out"
"$kmemblk" info --json "$tmp/disk" > "$tmp/out"
section 'kmemblk info' > "$tmp/section"
for key in $(json '" ".join(j)'); do
	grep -q "C<$key>" "$tmp/section" || fail "$key of info --json is not in $pod"
	grep -q "^   \"$key\":" "$tmp/section" || fail "$key is not in the example of info --json in $pod"
done
while read -r line; do
	grep -qE "^   $line |C<$line>" "$tmp/section" || fail "the line $line of info is not in $pod"
done < <(sed -nE 's/.*printf\("(\\n)?  ([a-z]+) .*/\2/p' "$abs_top_srcdir/tools/command-info.c")
# What the environment can do to it.
for page in libkmemblk nbdkit-kmemblk-plugin; do
	grep -q 'C<PMEM_NO_FLUSH=1>' "$abs_top_srcdir/man/$page.pod" || fail "PMEM_NO_FLUSH is not in $page"
done

for option in --help --usage --version; do
	grep -q "^=item B<$option>" "$pod" || fail "$option is not in $pod"
done
for status in 0 1 4 8 16; do
	sed -n '/^=head1 EXIT STATUS/,/^=head1 /p' "$pod" | grep -qx "=item B<$status>" ||
		fail "exit status $status is not in $pod"
done
requires command -v podchecker
podchecker "$pod" 2> "$tmp/err" || fail "$(cat "$tmp/err")"
