#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Any superblock, directory, record and table: see fuzz-image.c.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/fuzz/fuzz.sh"

fuzz_for_a_while image
