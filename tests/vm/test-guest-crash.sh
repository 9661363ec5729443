#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A guest that crashes under load loses nothing that it acknowledged: a few rounds of crash.sh, which
# says how.  For many: make check-guest-crash GUEST_CRASHES=200.

exec "$(dirname "$0")/crash.sh" 2
