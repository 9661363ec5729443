#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# The commands of the README's section "On real hardware", typed as they are printed there, work, and
# do what the section says.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/vm/guest.sh"
. "$abs_top_srcdir/tests/readme.sh"

# The pages of the last `used` line but $1 that kmemblk info printed.
used() {
	sed -n 's/^  used .* \([0-9]*\) pages.*/\1/p' /tmp/out | tail -n "$1" | head -n 1
}

inside() {
	local command
	while IFS= read -r command; do
		echo "\$ $command"
		eval "$command" > /tmp/command.out 2>&1 || fail "$command: $(cat /tmp/command.out)"
		cat /tmp/command.out
		cat /tmp/command.out >> /tmp/out
	done < /guest/commands
	grep -qF 'media        devdax' /tmp/out || fail "info did not say devdax"
	# Meanwhile the kernel writes the inode tables that mkfs left to it, some tens of MiB.
	test $(($(used 2) - $(used 1))) -ge 8000 ||
		fail "64 MiB were deleted and trimmed; used: $(used 2) pages before, $(used 1) after"
	test -z "$(ls -A /tmp/kmemblk-demo.* 2> /dev/null)" || fail "left behind: $(ls /tmp)"
	test -z "$(pidof nbdkit)" || fail "the server is left running"
	tail -n 1 /tmp/out | grep -q '^/dev/dax0.0: clean' || fail "kmemblk check did not say clean"
}

readme_commands 'On real hardware' > "$tmp/commands"
test "$(wc -l < "$tmp/commands")" -ge 10 || fail "the README has no commands on real hardware"

nvdimm disk 512M
guest_run one nvdimm="$nvdimm" file="$tmp/commands" -- inside
cat "$tmp/one.log"
