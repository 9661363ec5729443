#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# fork keeps its meaning on borrowed memory: children see it as it was at one instant, and neither
# side sees the other's stores, while threads of the parent go on storing.  The parent's memory is
# still the device's then.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

lender 512M
"${run[@]}" --strict -- "$heap" fork || fail "heap fork"
eventually none_lent
