#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Debian's redis-server with 256 MiB of data, and --strict, has at least 90 % of its heap on loans, while the
# disk is written and verified; BGSAVE under a load of writes gives a dump that is sound and from one
# instant; and kill -9 frees all of its zones.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/lender.sh"

# shellcheck disable=SC2016  # the inner shell's
requires sh -c 'fio --enghelp | grep -qw nbd'
lender 1G
start_redis --strict
cli debug populate 250000 key 1000 > /dev/null
read -r zones anonymous < <(on_device "$redis")
echo "redis: $zones KiB on zones, $anonymous KiB elsewhere"
test "$zones" -ge $((256 * 1024)) || fail "only $zones KiB on zones"
test $((zones * 10)) -ge $(((zones + anonymous) * 9)) || fail "$anonymous KiB are elsewhere"

start_verified_load --ioengine=nbd --uri="$uri" --iodepth=4 --size=8M
load_redis 250000
for round in 1 2; do
	save_redis "$tmp/dump$round.rdb"
done
unload_redis

# A dead program has no mappings, so all that is left is that the server sees it.
end_process "$redis" KILL
eventually none_lent
end_verified_load

for round in 1 2; do
	check_dump "$tmp/dump$round.rdb" 250000
done
