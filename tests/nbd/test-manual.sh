#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each parameter that the plugin takes is in its help and in its manual page, and no others are; what
# it answers to --dump-plugin is what the page says.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

page=$abs_top_srcdir/man/nbdkit-kmemblk-plugin.pod
nbdkit "$plugin" --help > "$tmp/help"
nbdkit "$plugin" --dump-plugin > "$tmp/dump"

parameters=$(sed -n 's/^kmemblk_parameters=//p' "$tmp/dump")
test -n "$parameters" || fail "--dump-plugin names no parameters"
for parameter in $parameters; do
	grep -qE "^\[?$parameter=" "$tmp/help" || fail "$parameter= is not in the help"
	grep -qE "^=item .*B<$parameter=>" "$page" || fail "$parameter= is not in the manual page"
	# The plugin knows it: an empty or bad value is not an unknown parameter.
	try_nbdkit "$parameter=" > "$tmp/log" 2>&1 || true
	if grep -q 'unknown parameter' "$tmp/log"; then
		fail "$parameter= is told and not known"
	fi
done
for parameter in $(sed -nE 's/^=item .*B<([a-z-]+)=>.*/\1/p' "$page"; sed -nE 's/^\[?([a-z-]+)=.*/\1/p' "$tmp/help"); do
	grep -qw "$parameter" <<< "$parameters" || fail "$parameter= is documented and not there"
done

while IFS='=' read -r key _; do
	grep -qF "$key" "$page" || fail "$key of --dump-plugin is not in the manual page"
done < <(grep '^kmemblk_' "$tmp/dump")
for line in name=kmemblk api_version=2 thread_model=parallel magic_config_key=path errno_is_preserved=1; do
	grep -qx "$line" "$tmp/dump" || fail "--dump-plugin does not say $line"
done
