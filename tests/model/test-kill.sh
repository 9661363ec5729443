#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A process that is killed in the middle of its work loses nothing that was acknowledged, leaves a
# device that is sound, and no block that is torn.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"

./model --kill --phases="${KMEMBLK_KILLS:-30}"
