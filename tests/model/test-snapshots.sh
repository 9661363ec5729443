#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Snapshots that are taken, read, cloned and deleted beside many writers hold what was there at one instant, and nothing
# else ever; also where the process is killed in the middle of that.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

operations=150000
phases=10
# Each access takes ten times as long, and between phases all pages are looked at.
if grep -q __tsan_init ./model; then
	operations=6000
	phases=2
fi
./model --snapshots=16 --operations=$operations
./model --snapshots=16 --operations=$((operations / 3)) --kill --phases=$phases
