/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reclaim.c - retired pages are freed after a grace period, never within one, none is lost and none
 * is doubled.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bare.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reclaim.h"
#include "pages/reserve.h"
#include "unit.h"

static _Atomic bool taken;

static void *take_one(void *opaque)
{
	bare_take_some(1, opaque);
	atomic_store(&taken, true);
	return NULL;
}

START_TEST(test_not_before_readers_are_done)
{
	uint64_t page[4], one = 0;
	pthread_t thread;

	bare_open(4, 1, 0);
	ck_assert_int_eq(bare_reserve(3), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(bare_take_some(1, &page[i]), 1);
	reserve_end(&bare, 3, 3);
	grace_enter();
	cache_retire(&bare, page, 1);
	pthread_create(&thread, NULL, take_one, &one);
	/* Time for a reuse that does not wait to show itself. */
	usleep(100000);
	ck_assert(!atomic_load(&taken));
	grace_leave();
	pthread_join(thread, NULL);
	ck_assert_uint_eq(one, page[0]);
	bare_close();
}
END_TEST

START_TEST(test_freed_without_anybody_waiting)
{
	uint64_t page[100];
	uint64_t resident = 0;

	bare_open(100, 10, 0);
	ck_assert_int_eq(bare_reserve(90), 0);
	for (int n = 0; n < 100;)
		n += bare_take_some(100 - (unsigned int)n, page + n);
	reserve_end(&bare, 90, 90);
	cache_retire(&bare, page, 50);
	while (resident == 0) {
		pthread_mutex_lock(&bare.lock);
		resident = bare.resident.total + bare.recent.count;
		pthread_mutex_unlock(&bare.lock);
		usleep(1000);
	}
	bare_close();
}
END_TEST

START_TEST(test_stops_with_pages_still_retired)
{
	uint64_t page[10];

	bare_open(100, 10, 0);
	ck_assert_int_eq(bare_take_some(10, page), 10);
	cache_retire(&bare, page, 10);
	bare_close();
	/* One that never started, too. */
	bare.running = false;
	reclaim_stop(&bare);
}
END_TEST

/* ---- churn ----------------------------------------------------------------------------------- */

#define THREADS 8u
#define COUNT	3000u
#define SPARE	4u
#define HELD	((COUNT - SPARE) / THREADS)

/* Who has each data page: 0 nobody, else a thread's number + 1. */
static _Atomic unsigned int owner[COUNT];
static _Atomic uint64_t wrong;

static void change_owner(uint64_t page, unsigned int from, unsigned int to)
{
	if (page < bare.first || page - bare.first >= COUNT ||
	    !atomic_compare_exchange_strong(&owner[page - bare.first], &from, to))
		atomic_fetch_add(&wrong, 1);
}

/*
 * Holds pages as blocks do: a page that was taken becomes a new block, or replaces one that is then
 * retired, or is not published and put back.
 */
static void *churn(void *opaque)
{
	unsigned int me = (unsigned int)(uintptr_t)opaque, seed = me, held = 0;
	uint64_t block[HELD], page[64];

	for (uint64_t round = 0; round < scale(3000); round++) {
		int n = bare_take_some(1 + (unsigned int)rand_r(&seed) % 64, page);

		for (int i = 0; i < n; i++)
			change_owner(page[i], 0, me);
		for (int i = 0; i < n; i++) {
			uint64_t *old = &block[held == 0 ? 0 : (unsigned int)rand_r(&seed) % held];

			if (held < HELD) {
				block[held++] = page[i];
			} else if (rand_r(&seed) % 8 == 0) {
				change_owner(page[i], me, 0);
				pool_put(&bare, &page[i], 1);
			} else {
				change_owner(*old, me, 0);
				cache_retire(&bare, old, 1);
				*old = page[i];
			}
		}
	}
	for (unsigned int i = 0; i < held; i++)
		change_owner(block[i], me, 0);
	cache_retire(&bare, block, held);
	return NULL;
}

START_TEST(test_no_page_is_lost_or_doubled)
{
	static uint64_t page[COUNT];
	pthread_t threads[THREADS];
	unsigned int n = 0;

	bare_open(COUNT, SPARE, 0);
	/* All are reserved: every block there could be. */
	ck_assert_int_eq(bare_reserve(COUNT - SPARE), 0);
	reserve_end(&bare, COUNT - SPARE, COUNT - SPARE);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)(i + 1));
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(atomic_load(&wrong), 0);
	while (n < COUNT)
		n += (unsigned int)bare_take_some(COUNT - n, page + n);
	for (unsigned int i = 0; i < COUNT; i++)
		change_owner(page[i], 0, 99);
	ck_assert_uint_eq(atomic_load(&wrong), 0);
	bare_close();
}
END_TEST

static void *take_in_vain(void *opaque)
{
	uint64_t page;

	*(int *)opaque = bare_take_some(1, &page);
	return NULL;
}

/* After a failure to persist nothing comes back, and who waits for it is told so. */
START_TEST(test_frozen_pages_end_the_wait)
{
	uint64_t page[2];
	pthread_t thread;
	int rc = 0;

	bare_open(2, 1, 0);
	ck_assert_int_eq(bare_reserve(1), 0);
	bare_take(page, 2);
	reserve_end(&bare, 1, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, take_in_vain, &rc), 0);
	grace_enter();
	cache_retire_now(&bare, 0, page, 1);
	pool_freeze(&bare);
	grace_leave();
	pthread_join(thread, NULL);
	ck_assert_int_eq(rc, -EROFS);
	bare_close();
}
END_TEST

UNIT_MAIN("reclaim", test_not_before_readers_are_done, test_freed_without_anybody_waiting,
	  test_stops_with_pages_still_retired, test_no_page_is_lost_or_doubled,
	  test_frozen_pages_end_the_wait)
