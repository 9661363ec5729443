/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zone.c - evacuating and lending zones: each page is in one set, and the counts say so.
 *
 * The linker puts __wrap_...() in the place of what gives storage and what zeroes it, so that either
 * can fail, and others can do something meanwhile.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bare.h"
#include "lend/compaction.h"
#include "pages/cache.h"
#include "pages/lent.h"
#include "pages/reserve.h"
#include "pages/storage.h"
#include "pages/zone.h"

#define COUNT (16u * ZONE_PAGES)
#define SPARE 16u

static int punch_rc, clear_rc;
static bool end_meanwhile;
static uint64_t bad_page;

int __real_device_punch(const struct device *device, uint64_t offset, uint64_t length);
int __wrap_device_punch(const struct device *device, uint64_t offset, uint64_t length);
int __real_lent_clear(struct pool *pool, uint64_t first, uint64_t n);
int __wrap_lent_clear(struct pool *pool, uint64_t first, uint64_t n);

int __wrap_device_punch(const struct device *device, uint64_t offset, uint64_t length)
{
	return punch_rc != 0 ? punch_rc : __real_device_punch(device, offset, length);
}

int __wrap_lent_clear(struct pool *pool, uint64_t first, uint64_t n)
{
	if (end_meanwhile) {
		pthread_mutex_lock(&pool->lock);
		pool_end_evacuation_locked(pool);
		pthread_mutex_unlock(&pool->lock);
	}
	if (clear_rc == 0)
		return __real_lent_clear(pool, first, n);
	bad_page = first + 3;
	pool_mark_bad(pool, bad_page);
	return clear_rc;
}

/* All pages are in one place or another, and those that count as stored are. */
static void expect_whole(uint64_t used)
{
	uint64_t free = bare.resident.total + bare.absent.total;
	uint64_t evacuating = bare.zones.stored.total + bare.zones.holes.total;

	ck_assert_uint_eq(used + free + evacuating + bare.lent.total + bare.quarantined, COUNT);
	ck_assert_uint_eq(bare.stored, used + bare.resident.total);
	for (uint64_t page = bare.first; page < bare.first + COUNT; page++)
		ck_assert_int_le(pageset_has(&bare.resident, page) +
					 pageset_has(&bare.absent, page) +
					 pageset_has(&bare.zones.stored, page) +
					 pageset_has(&bare.zones.holes, page) +
					 pageset_has(&bare.lent, page),
				 1);
	if (bare.zones.count == 0)
		ck_assert_uint_eq(evacuating, 0);
}

static void open_with(uint64_t used)
{
	punch_rc = clear_rc = 0;
	end_meanwhile = false;
	bare_open(COUNT, SPARE, used);
	bare.keeper.headroom = 0;
	bare.keeper.punch = true;
	expect_whole(used);
	pthread_mutex_lock(&bare.lock);
}

/* As on devdax: all pages are resident, and zones are lent themselves. */
static void open_devdax(uint64_t used)
{
	open_with(used);
	while (bare.absent.total > 0)
		ck_assert_int_eq(storage_populate_locked(&bare, COUNT), 0);
	bare_device.holes = false;
	bare.keeper.punch = false;
}

static void close_bare(void)
{
	pthread_mutex_unlock(&bare.lock);
	bare_close();
}

START_TEST(test_evacuating_takes_free_pages_and_gives_all_back)
{
	uint64_t page[8], resident, absent;

	open_with(100);
	/* Some have storage. */
	ck_assert_int_eq(storage_populate_locked(&bare, 300), 0);
	resident = bare.resident.total;
	absent = bare.absent.total;
	bare.zones.wanted = 3;
	ck_assert_uint_eq(compaction_begin_locked(&bare), 3);
	ck_assert_uint_eq(bare.zones.count, 3);
	expect_whole(100);
	ck_assert_uint_eq(bare.zones.stored.total + bare.zones.holes.total, 3 * ZONE_PAGES);
	ck_assert(!compaction_unfinished_locked(&bare));
	/* A writer is given none of theirs, while there are others. */
	pthread_mutex_unlock(&bare.lock);
	ck_assert_int_eq(bare_reserve(8), 0);
	bare_take(page, 8);
	for (unsigned int i = 0; i < 8; i++)
		ck_assert(!pool_evacuating(&bare, page[i]));
	pool_put(&bare, page, 8);
	reserve_end(&bare, 8, 0);
	cache_empty(&bare);
	pthread_mutex_lock(&bare.lock);
	pool_end_evacuation_locked(&bare);
	ck_assert_uint_eq(bare.zones.count, 0);
	ck_assert_uint_eq(bare.resident.total + bare.absent.total, resident + absent);
	expect_whole(100);
	close_bare();
}
END_TEST

START_TEST(test_emptiest_first_and_not_what_is_needed)
{
	open_with(13 * ZONE_PAGES);
	bare.zones.wanted = 16;
	/* Room for the spare and the blocks to move must remain outside. */
	ck_assert_uint_lt(compaction_begin_locked(&bare), 3);
	ck_assert_uint_ge(bare.resident.total + bare.absent.total, SPARE);
	expect_whole(13 * ZONE_PAGES);
	pool_end_evacuation_locked(&bare);
	expect_whole(13 * ZONE_PAGES);
	close_bare();
}
END_TEST

START_TEST(test_freed_in_an_evacuated_zone_stays_there)
{
	uint64_t page = 0;

	open_with(100);
	bare.zones.wanted = 16;
	ck_assert_uint_gt(compaction_begin_locked(&bare), 0);
	/* A block that is moved out of one: its page is free. */
	for (page = bare.first + 100; !pool_evacuating(&bare, page); page++)
		;
	if (pageset_has(&bare.zones.holes, page))
		pageset_remove(&bare.zones.holes, page, 1);
	else
		pageset_remove(&bare.zones.stored, page, 1);
	ck_assert(compaction_unfinished_locked(&bare));
	bare.stored++;
	pool_free_locked(&bare, page, 1);
	ck_assert(pageset_has(&bare.zones.stored, page));
	ck_assert(!compaction_unfinished_locked(&bare));
	expect_whole(100);
	pool_end_evacuation_locked(&bare);
	expect_whole(100);
	close_bare();
}
END_TEST

static void lend_all(void)
{
	uint64_t first;

	for (unsigned int i = 0; pool_lendable_locked(&bare) >= ZONE_PAGES; i++) {
		int rc = zone_lend_locked(&bare, &first);

		if (rc == -ENOMEM)
			break;
		ck_assert_int_eq(rc, 0);
		ck_assert_uint_eq(first % ZONE_PAGES, 0);
		if (!bare_device.holes)
			ck_assert(unit_is_zero(pm_page(&bare_device.pm, first), ZONE_PAGES * PAGE));
		ck_assert_uint_eq(bare.lent.total, (i + 1) * ZONE_PAGES);
		expect_whole(100);
	}
	ck_assert_uint_ge(bare.lent.total, 13 * ZONE_PAGES);
}

START_TEST(test_lent_zones_are_zeroed_and_counted)
{
	open_devdax(100);
	lend_all();
	close_bare();
}
END_TEST

START_TEST(test_lent_zones_have_no_storage)
{
	uint64_t storage;

	open_with(100);
	ck_assert_int_eq(storage_populate_locked(&bare, 4 * ZONE_PAGES), 0);
	lend_all();
	storage = device_storage(&bare_device) / PAGE;
	ck_assert_uint_le(storage, bare.first + bare.stored + 1);
	/* They come back as they went. */
	for (uint64_t zone = 0; zone < pool_zones(&bare); zone++)
		if (bare.lent.count[zone] > 0)
			zone_return_locked(&bare, pool_zone_start(&bare, zone));
	ck_assert_uint_eq(bare.lent.total, 0);
	ck_assert_uint_eq(device_storage(&bare_device) / PAGE, storage);
	expect_whole(100);
	close_bare();
}
END_TEST

START_TEST(test_storage_that_stays_is_not_lent)
{
	uint64_t first, stored;

	open_with(0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(storage_populate_locked(&bare, ZONE_PAGES), 0);
	bare.keeper.punch = false;
	stored = bare.stored;
	while (zone_lend_locked(&bare, &first) == 0)
		ck_assert_uint_eq(bare.stored, stored);
	ck_assert_uint_gt(bare.lent.total, 0);
	ck_assert_uint_ge(pool_lendable_locked(&bare), ZONE_PAGES);
	expect_whole(0);
	close_bare();
}
END_TEST

START_TEST(test_storage_that_cannot_be_taken_changes_nothing)
{
	uint64_t first, absent;

	open_with(0);
	ck_assert_int_eq(storage_populate_locked(&bare, 300), 0);
	while (bare.absent.total > 0)
		ck_assert_int_eq(storage_populate_locked(&bare, COUNT), 0);
	absent = bare.absent.total;
	punch_rc = -EIO;
	ck_assert_int_eq(zone_lend_locked(&bare, &first), -EIO);
	ck_assert_uint_eq(bare.lent.total, 0);
	ck_assert_uint_eq(bare.absent.total, absent);
	expect_whole(0);
	punch_rc = 0;
	ck_assert_int_eq(zone_lend_locked(&bare, &first), 0);
	expect_whole(0);
	close_bare();
}
END_TEST

START_TEST(test_what_a_borrowers_file_stands_for_is_lent)
{
	uint64_t first = bare.first;

	open_with(100);
	first = (bare.first + 100 + 2 * ZONE_PAGES) & ~(uint64_t)(ZONE_PAGES - 1);
	ck_assert_int_eq(storage_populate_locked(&bare, 300), 0);
	zone_adopt_file_locked(&bare, first);
	ck_assert_uint_eq(bare.lent.total, ZONE_PAGES);
	/* In the first zone some pages are blocks, and others have storage. */
	zone_adopt_file_locked(&bare, 0);
	expect_whole(100);
	zone_return_locked(&bare, 0);
	zone_return_locked(&bare, first);
	ck_assert_uint_eq(bare.lent.total, 0);
	expect_whole(100);
	close_bare();
}
END_TEST

START_TEST(test_a_bad_page_is_quarantined_and_its_zone_not_tried_again)
{
	uint64_t first;

	open_devdax(0);
	clear_rc = -EIO;
	ck_assert_int_eq(zone_lend_locked(&bare, &first), -EIO);
	ck_assert_uint_eq(bare.quarantined, 1);
	ck_assert(!pageset_has(&bare.resident, bad_page));
	expect_whole(0);
	clear_rc = 0;
	ck_assert_int_eq(zone_lend_locked(&bare, &first), 0);
	ck_assert(first + 3 != bad_page);
	expect_whole(0);
	close_bare();
}
END_TEST

START_TEST(test_an_evacuation_that_ends_while_a_zone_is_made_ready)
{
	uint64_t first;

	open_devdax(0);
	bare.zones.wanted = 2;
	ck_assert_uint_eq(compaction_begin_locked(&bare), 2);
	/* The only whole zones are those. */
	end_meanwhile = true;
	clear_rc = -EIO;
	ck_assert_int_eq(zone_lend_locked(&bare, &first), -EIO);
	ck_assert_uint_eq(bare.zones.count, 0);
	expect_whole(0);
	close_bare();
}
END_TEST

static void lock_zone(uint64_t page)
{
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)(page * PAGE),
			      .l_len = ZONE_PAGES * PAGE };
	int fd = open(unit_device, O_RDWR | O_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

START_TEST(test_locked_zones_are_adopted)
{
	open_devdax(100);
	lock_zone(3 * ZONE_PAGES);
	lock_zone(4 * ZONE_PAGES);
	lock_zone(11 * ZONE_PAGES);
	ck_assert_int_eq(zone_adopt_locked(&bare), 0);
	ck_assert_uint_eq(bare.lent.total, 3 * ZONE_PAGES);
	ck_assert(pageset_has_run(&bare.lent, 3 * ZONE_PAGES, 2 * ZONE_PAGES));
	ck_assert(pageset_has_run(&bare.lent, 11 * ZONE_PAGES, ZONE_PAGES));
	expect_whole(100);
	close_bare();
}
END_TEST

UNIT_MAIN("zone", test_evacuating_takes_free_pages_and_gives_all_back,
	  test_emptiest_first_and_not_what_is_needed, test_freed_in_an_evacuated_zone_stays_there,
	  test_lent_zones_are_zeroed_and_counted, test_lent_zones_have_no_storage,
	  test_storage_that_stays_is_not_lent, test_storage_that_cannot_be_taken_changes_nothing,
	  test_what_a_borrowers_file_stands_for_is_lent,
	  test_a_bad_page_is_quarantined_and_its_zone_not_tried_again,
	  test_an_evacuation_that_ends_while_a_zone_is_made_ready, test_locked_zones_are_adopted)
