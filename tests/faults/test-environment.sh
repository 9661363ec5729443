#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What is durable depends on the device, whatever libpmem's variables in the environment say: an
# ordinary file stays one and is msync'ed, and where flushes would be left out nothing is written.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/functions.sh"
. "$abs_top_srcdir/tests/common/qemu-io.sh"

test -z "${asan_library:-}" || skip "AddressSanitizer has LD_PRELOAD to itself"
folder_on_disk

# Called persistent memory by the environment, the file is still one, and each write waits for it.
file=$folder/disk
export PMEM_IS_PMEM_FORCE=1 MSYNC_FAILS=$tmp/now
LD_PRELOAD=$PWD/.libs/failing-msync.so start_nbdkit "$file" create=8M
test "$(field media "$file")" = file || fail "media is $(field media "$file")"
touch "$MSYNC_FAILS"
qemu_io 'write -P 3 0 4k' > "$tmp/qemu-io.log" || true
grep -q 'write failed: Input/output error' "$tmp/qemu-io.log" ||
	fail "acknowledged without msync: $(cat "$tmp/qemu-io.log")"
stop_nbdkit

# The other way round: tmpfs stays tmpfs.
device disk
PMEM_IS_PMEM_FORCE=0 "$kmemblk" format --create=8M "$device"
test "$(PMEM_IS_PMEM_FORCE=0 field media "$device")" = tmpfs || fail "media is not tmpfs"

# Without flushes nothing is written; to look at it needs none.
unset PMEM_IS_PMEM_FORCE
export PMEM_NO_FLUSH=1
sum=$(sha256sum "$device")
expect_error 1 "$device: PMEM_NO_FLUSH=1 .*unset PMEM_NO_FLUSH" nbdkit -f -U - "$plugin" "$device"
expect_error 8 "$device: PMEM_NO_FLUSH=1 " "$kmemblk" format --force "$device"
expect_error 8 "$device: PMEM_NO_FLUSH=1 " "$kmemblk" check --repair "$device"
test "$(sha256sum "$device")" = "$sum" || fail "the device has changed"
test "$(field media "$device")" = tmpfs || fail "info does not work"
PMEM_NO_FLUSH=0 "$kmemblk" check --repair "$device"
