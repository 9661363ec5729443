#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A module that gives back what it is asked for a little later, from another thread: gives-back.sh.

export HOLDER=late
. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/gives-back.sh"
