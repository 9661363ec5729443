/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache.c - free pages: taken and given back, storage on a file with holes, quarantine.
 *
 * The file system's room is played by fallocate(), which the program wraps: each page that is given
 * storage costs one of `room`.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bare.h"
#include "pages/cache.h"
#include "pages/reserve.h"
#include "pages/storage.h"
#include "unit.h"

static _Atomic int64_t room = INT64_MAX;
/* When set, the next fallocate() says that it has begun and waits until it may go on. */
static _Atomic bool hold;
static sem_t began, may_go_on;

int __real_fallocate(int fd, int mode, off_t offset, off_t length);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t length);

int __wrap_fallocate(int fd, int mode, off_t offset, off_t length)
{
	int64_t cost = length / PAGE;

	if (atomic_exchange(&hold, false)) {
		sem_post(&began);
		sem_wait(&may_go_on);
	}
	if (!(mode & FALLOC_FL_PUNCH_HOLE)) {
		if (atomic_fetch_sub(&room, cost) < cost) {
			atomic_fetch_add(&room, cost);
			errno = ENOSPC;
			return -1;
		}
	}
	return __real_fallocate(fd, mode, offset, length);
}

/* ---- pages ----------------------------------------------------------------------------------- */

START_TEST(test_all_pages_come_out_once)
{
	uint64_t page[1000];

	bare_open(1000, 10, 0);
	ck_assert_int_eq(bare_reserve(990), 0);
	bare_take(page, 1000);
	bare_expect_distinct(page, 1000);
	pool_put(&bare, page, 1000);
	reserve_end(&bare, 990, 0);
	memset(page, 0, sizeof(page));
	bare_take(page, 1000);
	bare_expect_distinct(page, 1000);
	bare_close();
}
END_TEST

START_TEST(test_named_pages_are_not_free)
{
	uint64_t page[40];

	bare_open(100, 10, 60);
	bare_take(page, 40);
	bare_expect_distinct(page, 40);
	for (unsigned int i = 0; i < 40; i++)
		ck_assert_uint_ge(page[i], bare.first + 60);
	bare_close();
}
END_TEST

START_TEST(test_what_is_written_together_lies_together)
{
	uint64_t page[256];

	bare_open(5000, 10, 0);
	bare_take(page, 256);
	for (unsigned int i = 1; i < 256; i++)
		ck_assert_uint_eq(page[i], page[0] + i);
	bare_close();
}
END_TEST

START_TEST(test_retired_pages_come_back)
{
	uint64_t page[100];

	bare_open(100, 10, 0);
	ck_assert_int_eq(bare_reserve(90), 0);
	bare_take(page, 100);
	reserve_end(&bare, 90, 90);
	/* Nothing is left; each take waits for what was retired before it. */
	for (uint64_t round = 0; round < scale(200); round++) {
		unsigned int n = 1 + (unsigned int)(round % 100);

		cache_retire(&bare, page, n);
		memset(page, 0, n * sizeof(page[0]));
		bare_take(page, n);
		bare_expect_distinct(page, 100);
	}
	bare_close();
}
END_TEST

START_TEST(test_more_retired_at_once_than_a_batch_holds)
{
	static uint64_t page[50000];

	/* More than all batches together. */
	bare_open(50000, 10, 0);
	ck_assert_int_eq(bare_reserve(49990), 0);
	bare_take(page, 50000);
	reserve_end(&bare, 49990, 49990);
	cache_retire(&bare, page, 50000);
	memset(page, 0, sizeof(page));
	bare_take(page, 50000);
	bare_expect_distinct(page, 50000);
	bare_close();
}
END_TEST

/* ---- storage --------------------------------------------------------------------------------- */

START_TEST(test_taken_pages_have_storage)
{
	uint64_t page[3], before;

	bare_open(2000, 10, 0);
	ck_assert_uint_eq(unit_storage(unit_device), 0);
	ck_assert_int_eq(bare_reserve(3), 0);
	bare_take(page, 3);
	/* A store through the mapping needs no more. */
	before = unit_storage(unit_device);
	ck_assert_uint_ge(before, 3 * PAGE);
	for (unsigned int i = 0; i < 3; i++)
		memset(pm_page(&bare_device.pm, page[i]), 1, PAGE);
	ck_assert_uint_eq(unit_storage(unit_device), before);
	bare_close();
}
END_TEST

START_TEST(test_full_file_system_refuses_new_blocks_only)
{
	uint64_t page[2000];

	/* Room for 21 pages: 11 blocks and the spare of 10 to overwrite them. */
	atomic_store(&room, 21);
	bare_open(2000, 10, 0);
	ck_assert_int_eq(bare_reserve(11), 0);
	reserve_end(&bare, 11, 11);
	unit_expect_error(bare_reserve(1), ENOSPC, "");
	bare_take(page, 21);
	bare_expect_distinct(page, 21);
	ck_assert_int_eq(atomic_load(&room), 0);
	/* Room again. */
	atomic_store(&room, 1);
	ck_assert_int_eq(bare_reserve(1), 0);
	bare_close();
}
END_TEST

START_TEST(test_open_makes_sure_of_the_spare)
{
	atomic_store(&room, 10);
	ck_assert_msg(bare_try_open(2000, 10, 100) == 0, "%s", kmemblk_error());
	ck_assert_int_eq(atomic_load(&room), 0);
	bare_close();
	atomic_store(&room, 9);
	unit_expect_error(bare_try_open(2000, 10, 100), ENOSPC,
			  "no room for the spare pages that overwrites need");
	device_close(&bare_device);
	/* Few blocks need few pages to overwrite them. */
	atomic_store(&room, 2);
	ck_assert_int_eq(bare_try_open(2000, 10, 2), 0);
	bare_close();
}
END_TEST

static void *take_one(void *opaque)
{
	uint64_t page;

	*(int *)opaque = bare_take_some(1, &page);
	return NULL;
}

static void *reserve_one(void *opaque)
{
	*(int *)opaque = bare_reserve(1);
	return NULL;
}

START_TEST(test_storage_on_its_way_is_no_reason_to_refuse)
{
	int taken = 0, reserved = 1;
	pthread_t taker, reserver;
	uint64_t page[2];

	sem_init(&began, 0, 0);
	sem_init(&may_go_on, 0, 0);
	/* Two pages have storage and are taken; all others are absent. */
	atomic_store(&room, 2);
	bare_open(60, 1, 0);
	ck_assert_int_eq(bare_reserve(1), 0);
	reserve_end(&bare, 1, 1);
	bare_take(page, 2);
	atomic_store(&room, 1000);
	/* Somebody who overwrites is out of pages and has storage given to all that are absent ... */
	atomic_store(&hold, true);
	pthread_create(&taker, NULL, take_one, &taken);
	sem_wait(&began);
	/* ... while a new block asks: it has time to be refused. */
	pthread_create(&reserver, NULL, reserve_one, &reserved);
	usleep(100000);
	sem_post(&may_go_on);
	pthread_join(taker, NULL);
	pthread_join(reserver, NULL);
	ck_assert_int_eq(taken, 1);
	ck_assert(reserved == 0 || reserved == -EAGAIN);
	bare_close();
}
END_TEST

/* Of the thread that sets it: once it has locked so often, what is held goes on, and ends. */
static __thread int locks_left = -1;
static _Atomic bool at_the_lock, ended;

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (locks_left > 0 && --locks_left == 0) {
		atomic_store(&at_the_lock, true);
		while (!atomic_load(&ended))
			sched_yield();
	}
	return __real_pthread_mutex_lock(mutex);
}

static void *drop_all(void *opaque)
{
	pthread_mutex_lock(&bare.lock);
	*(int64_t *)opaque = storage_punch_locked(&bare, UINT64_MAX);
	pthread_mutex_unlock(&bare.lock);
	atomic_store(&ended, true);
	return NULL;
}

static void *take_late(void *opaque)
{
	/* When pages are short: the cache's refill, the first look, the second. */
	locks_left = 3;
	return take_one(opaque);
}

START_TEST(test_storage_on_its_way_out_is_no_reason_to_refuse)
{
	pthread_t dropper, taker;
	uint64_t page[2];
	int64_t dropped;
	int taken;

	sem_init(&began, 0, 0);
	sem_init(&may_go_on, 0, 0);
	/* No block has a page, and both pages have storage. */
	bare_open(2, 1, 0);
	ck_assert_int_eq(bare_reserve(1), 0);
	bare_take(page, 2);
	pool_put(&bare, page, 2);
	reserve_end(&bare, 1, 0);
	atomic_store(&hold, true);
	pthread_create(&dropper, NULL, drop_all, &dropped);
	sem_wait(&began);
	/*
	 * The taker finds none.  They are back, without storage, either before it looks again, or, if it
	 * waits for that, in a while.
	 */
	pthread_create(&taker, NULL, take_late, &taken);
	for (int i = 0; i < 200 && !atomic_load(&at_the_lock); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	sem_post(&may_go_on);
	pthread_join(dropper, NULL);
	pthread_join(taker, NULL);
	ck_assert_int_eq(dropped, 2);
	ck_assert_int_eq(taken, 1);
	bare_close();
}
END_TEST

/* ---- bad pages ------------------------------------------------------------------------------- */

START_TEST(test_bad_pages_are_quarantined)
{
	uint64_t page[100], bad;

	bare_open(100, 10, 0);
	ck_assert_int_eq(bare_reserve(90), 0);
	bare_take(page, 100);
	reserve_end(&bare, 90, 90);
	/* One when it is retired, one when it is put back. */
	pool_mark_bad(&bare, page[5]);
	pool_mark_bad(&bare, page[50]);
	bad = page[5];
	cache_retire(&bare, page, 10);
	bare_take(page, 9);
	for (unsigned int i = 0; i < 9; i++)
		ck_assert_uint_ne(page[i], bad);
	bad = page[50];
	pool_put(&bare, page + 50, 10);
	bare_take(page + 50, 9);
	for (unsigned int i = 50; i < 59; i++)
		ck_assert_uint_ne(page[i], bad);
	ck_assert_uint_eq(bare.quarantined, 2);
	ck_assert_uint_eq(bare.usable, 98);
	/* For no new block may be reserved what they were. */
	ck_assert_int_eq(bare_reserve(1), -ENOSPC);
	bare_close();
}
END_TEST

START_TEST(test_pages_outside_the_data_are_nobodys)
{
	bare_open(100, 10, 0);
	pool_mark_bad(&bare, 0);
	pool_mark_bad(&bare, bare.first - 1);
	pool_mark_bad(&bare, bare.first + bare.count);
	pool_mark_bad(&bare, ~0ull);
	ck_assert(!atomic_load(&bare.any_bad));
	bare_close();
}
END_TEST

START_TEST(test_no_page_left_is_an_error_not_a_wait)
{
	uint64_t page[4], one;

	bare_open(4, 1, 0);
	ck_assert_int_eq(bare_reserve(3), 0);
	bare_take(page, 4);
	reserve_end(&bare, 3, 3);
	pool_mark_bad(&bare, page[0]);
	cache_retire(&bare, page, 1);
	unit_expect_error(bare_take_some(1, &one), ENOSPC, "media errors have used up the spare");
	bare_close();
}
END_TEST

UNIT_MAIN("cache", test_all_pages_come_out_once, test_named_pages_are_not_free,
	  test_what_is_written_together_lies_together, test_retired_pages_come_back,
	  test_more_retired_at_once_than_a_batch_holds, test_taken_pages_have_storage,
	  test_full_file_system_refuses_new_blocks_only, test_open_makes_sure_of_the_spare,
	  test_storage_on_its_way_is_no_reason_to_refuse,
	  test_storage_on_its_way_out_is_no_reason_to_refuse, test_bad_pages_are_quarantined,
	  test_pages_outside_the_data_are_nobodys, test_no_page_left_is_an_error_not_a_wait)
