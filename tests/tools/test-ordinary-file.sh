#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# On an ordinary file, format, info and check work as on tmpfs, and info says that it waits for
# msync.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/tools/helpers.sh"

# The folder of the build, for /tmp may be a tmpfs.
device=$(mktemp "$abs_top_builddir/$test_name.XXXXXX")
cleanup_fn rm -f "$device"
type=$(stat -f -c %T "$device")
test "$type" != tmpfs || skip "the build is on a tmpfs"
if findmnt -n -o OPTIONS -T "$device" | grep -qE '(^|,)dax(=always)?(,|$)'; then
	skip "the build is on a DAX file system"
fi
truncate -s 16M "$device"
status 0 "$kmemblk" format "$device"
says out ' sparse, on file$'
status 0 "$kmemblk" info --json "$device"
json_is 'j["media"]' file
# The build may be anywhere; tests/vm/test-persistence.sh knows where its files are.
json_is 'j["persistence"] in ("power-fail", "process", "unknown")' True
status 0 "$kmemblk" info "$device"
says out '^  media +file.*, slow: each write waits for msync$'
entry 5 100
poke 100 5a
status 1 "$kmemblk" check --repair "$device"
status 0 "$kmemblk" check "$device"
