#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A program that does what the helper must end for, just when its heap has made the helper start, goes on.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 128M
for ((i = 0; i < 5; i++)); do
	"${run[@]}" -- "$abs_top_builddir/tests/lend/advise" starting || fail "advise starting"
done
eventually none_lent
