#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Debian's redis-server with 256 MiB of data has at least 90 % of its heap on the device, while the
# disk is written and verified; BGSAVE under a load of writes gives a dump that is sound and from one
# instant; and kill -9 frees all of its zones soon.

. "${abs_top_srcdir:-$(dirname "$0")/../..}/tests/lend/helpers.sh"

# shellcheck disable=SC2016  # the inner shell's
requires sh -c 'fio --enghelp | grep -qw nbd'
lender 1G
# shellcheck disable=SC2119  # its arguments are optional, and not ours
start_redis
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

# A dead program has no mappings, so all that is left is that the server sees it, which looks at
# first each 20 ms.  Within a second when there is nothing else to do; here the machine is busy.
start=$(date +%s%N)
kill -9 "$redis"
wait "$redis" 2> /dev/null || true
ended=$(date +%s%N)
for ((polls = 1; polls <= 50; polls++)); do
	! none_lent || break
	sleep 0.05
done
echo "ended $(((ended - start) / 1000000)) ms after kill -9," \
	"free $((($(date +%s%N) - ended) / 1000000)) ms later, told at question $polls"
test "$polls" -le 50 || fail "$(lent) zones are still lent"
end_verified_load

for round in 1 2; do
	check_dump "$tmp/dump$round.rdb" 250000
done
