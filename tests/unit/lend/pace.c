/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pace.c - beside a busy disk lending uses a small part of what the disk does, and beside an idle one as
 * much as it likes.
 *
 * A thread that counts is the disk.  All is told in processor time, which a busy machine does not change.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "lend/pace.h"
#include "unit.h"

static _Atomic bool stop;

static int64_t used(clockid_t clock)
{
	struct timespec ts;

	ck_assert_int_eq(clock_gettime(clock, &ts), 0);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void *count(void *opaque)
{
	while (!atomic_load(&stop))
		continue;
	return opaque;
}

/* Use so much of the processor. */
static void work(int64_t ns)
{
	int64_t until = used(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (used(CLOCK_THREAD_CPUTIME_ID) < until)
		continue;
}

struct share {
	int64_t disk, lending;
	unsigned int refused;
};

/* Lend, a millisecond each time, until the disk has used two seconds. */
static struct share lend_beside_a_disk(long processors)
{
	struct timespec moment = { .tv_nsec = 1000000 };
	struct share share = { 0 };
	struct pace pace;
	clockid_t disk;
	pthread_t thread;

	pace_init(&pace);
	ck_assert_int_ge(pace.processors, 1);
	pace.processors = processors;
	pace_add(&pace, pthread_self());
	atomic_store(&stop, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, count, NULL), 0);
	ck_assert_int_eq(pthread_getcpuclockid(thread, &disk), 0);
	share.lending = used(CLOCK_THREAD_CPUTIME_ID);
	while ((share.disk = used(disk)) < INT64_C(2000000000)) {
		if (pace_allows(&pace)) {
			work(1000000);
		} else {
			share.refused++;
			nanosleep(&moment, NULL);
		}
	}
	share.lending = used(CLOCK_THREAD_CPUTIME_ID) - share.lending;
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	return share;
}

/* A turn that comes after a long wait is free, of which there are some on a busy machine. */
START_TEST(test_a_busy_disk_keeps_what_it_uses)
{
	struct share share = lend_beside_a_disk(0);

	ck_assert_int_lt(share.lending, share.disk / 4);
	ck_assert_uint_gt(share.refused, 0);
}
END_TEST

START_TEST(test_no_limit_while_processors_are_left)
{
	struct share share = lend_beside_a_disk(1000);

	ck_assert_uint_eq(share.refused, 0);
}
END_TEST

/* What the disk did before nobody asked for memory does not matter. */
START_TEST(test_long_ago_is_no_limit)
{
	struct timespec long_ago = { .tv_nsec = 300000000 };
	struct pace pace;

	pace_init(&pace);
	pace.processors = 0;
	pace_add(&pace, pthread_self());
	ck_assert(pace_allows(&pace));
	nanosleep(&long_ago, NULL);
	ck_assert(pace_allows(&pace));
}
END_TEST

UNIT_MAIN("pace", test_a_busy_disk_keeps_what_it_uses, test_no_limit_while_processors_are_left,
	  test_long_ago_is_no_limit)
