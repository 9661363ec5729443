#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The exit status of --create says whether there is a device: one that was made is made, also when
# the command cannot look at it afterwards.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

preload=$abs_top_builddir/tests/tools/.libs/refusing-open.so
test -e "$preload" || fail "not built: $preload"
# The sanitizers want to be first among the preloaded; they need not be for this.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0"
device d
status 0 env LD_PRELOAD="$preload" REFUSED_PATH="$device" "$kmemblk" format --create=16M "$device"
says out "^$device: made$"
says err "^kmemblk: warning: it is made, but cannot be looked at: open: $device: Too many open files$"
status 0 "$kmemblk" check "$device"

# With a umask that takes everything from its owner it is made, too.
rm "$device"
without_root=()
test "$(id -u)" -ne 0 || without_root=(setpriv "--bounding-set=-dac_override,-dac_read_search")
(umask 0777 && status 0 "${without_root[@]}" "$kmemblk" format --create=16M "$device")
says out "^$device: made$"
says err "^kmemblk: warning: it is made, but cannot be looked at: open: $device: Permission denied"
chmod 600 "$device"
status 0 "$kmemblk" check "$device"
