#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# A program on borrowed memory writes to the very disk that lends it: BGSAVE of a redis-server whose
# folder is on ext4 on the disk, under a load of writes, gives dumps that are sound and from one
# instant, while other files there are written and verified.
# Needs root.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

requires_attach
requires mkfs.ext4 -V
requires fio --version
grep -qw ext4 /proc/filesystems || modprobe -q ext4 || skip "this kernel has no ext4"

lender 400M
attach_disk
mkfs.ext4 -q "$loop"
mkdir "$tmp/redis"
mount "$loop" "$tmp/redis"
cleanup_fn umount "$tmp/redis"
start_redis --strict
cli debug populate 50000 key 1000 > /dev/null
read -r zones anonymous < <(on_device "$redis")
cli config set rdbcompression no > /dev/null
test "$zones" -ge $((50 * 1024)) || fail "only $zones KiB on zones, $anonymous elsewhere"

start_verified_load --ioengine=psync --directory="$tmp/redis" --size=16M --fsync=64
load_redis 10000
for round in 1 2; do
	save_redis "$tmp/dump$round.rdb"
	sync -f "$tmp/redis"
done
unload_redis
end_verified_load
# What is on the disk, not what the host remembers.
end_process "$redis"
eventually none_lent
umount "$tmp/redis"
mount "$loop" "$tmp/redis"
cmp "$tmp/redis/dump.rdb" "$tmp/dump2.rdb" || fail "the dump on the disk is another"
for round in 1 2; do
	check_dump "$tmp/dump$round.rdb" 50000
done
