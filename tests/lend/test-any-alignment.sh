#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Memory may be asked for at any alignment, also at one larger than a zone; and from the device alone at one
# of up to 64 MiB.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 256M
"${run[@]}" -- "$heap" align 1024 || fail "heap align"
"${run[@]}" --strict -- "$heap" align 64 || fail "heap align with --strict"
expect_error 1 'no memory of this alignment' "${run[@]}" --strict -- "$heap" align 1048576
