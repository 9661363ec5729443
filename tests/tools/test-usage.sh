#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Wrong usage exits with 16, tells what is wrong on standard error, and prints nothing on
# standard output.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

# wrong MESSAGE [ARGUMENT...]
wrong() {
	local message=$1
	shift
	status 16 "$kmemblk" "$@"
	silent out
	says err "$message"
}
wrong '^kmemblk: a subcommand is missing'
wrong "^kmemblk: unknown subcommand 'frmat'" frmat /dev/shm/x
says err '^  format +[a-z]'
says err '^  info +[a-z]'
says err '^  check +[a-z]'
says err "^Try 'kmemblk help SUBCOMMAND'"
wrong "^kmemblk: unrecognized option '--bogus'" --bogus
for subcommand in format info check; do
	wrong "^kmemblk $subcommand: PATH is missing" $subcommand
	wrong "^kmemblk $subcommand: one PATH at a time: 'b' is the second" $subcommand a b
	wrong "^kmemblk $subcommand: unrecognized option '--bogus'" $subcommand --bogus a
	says err "Try .kmemblk $subcommand --help"
done
wrong "option '--json' doesn't allow an argument" info --json=1 a
wrong "unrecognized option '--repair'" info --repair a
