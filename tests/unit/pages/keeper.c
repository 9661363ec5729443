/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper.c - free pages lose their storage or are lent, reservations keep theirs, and who lacks pages
 * waits for the memory user as long as he has hope.
 *
 * What a thread does is waited for, in steps of a millisecond; the test's time limit ends a wait that
 * does not end.  What it must not do has not been done when it has come to rest: the linker puts
 * __wrap_pthread_cond_wait() in the place of pthread_cond_wait().
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bare.h"
#include "io/handle.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/keeper.h"
#include "pages/reclaim.h"
#include "pages/reserve.h"
#include "pages/storage.h"
#include "unit.h"
#include "common/disk.h"

#define SIZE (16 * MIB)

static void write_some(struct kmemblk *h, uint64_t first, uint64_t n)
{
	for (uint64_t b = first; b < first + n; b++)
		unit_write(h, b, b);
}

/* Time for what must not happen to happen, where nothing else would tell. */
static void pause_a_little(void)
{
	usleep(100000);
}

/* Conditions that a thread sleeps on and has not been woken from; enough for all there are. */
static pthread_cond_t *asleep[8];
static pthread_mutex_t asleep_lock = PTHREAD_MUTEX_INITIALIZER;

int __real_pthread_cond_signal(pthread_cond_t *condition);
int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);

/* Exchange one entry for another. */
static bool replace_asleep(const pthread_cond_t *from, pthread_cond_t *to)
{
	bool found = false;

	pthread_mutex_lock(&asleep_lock);
	for (unsigned int i = 0; i < 8 && !found; i++) {
		found = asleep[i] == from;
		if (found)
			asleep[i] = to;
	}
	pthread_mutex_unlock(&asleep_lock);
	return found;
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition)
{
	replace_asleep(condition, NULL);
	return __real_pthread_cond_signal(condition);
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
	int rc;

	ck_assert(replace_asleep(NULL, condition));
	rc = __real_pthread_cond_wait(condition, mutex);
	replace_asleep(condition, NULL);
	return rc;
}

/*
 * Until what has been retired is free, and the memory thread has nothing to do.  It sleeps and is woken
 * with the lock of pages.
 */
static void settle(struct pool *pool)
{
	bool settled = false;

	while (!settled) {
		usleep(1000);
		if (reclaim_count_retired(pool) > 0)
			continue;
		pthread_mutex_lock(&pool->lock);
		settled = replace_asleep(&pool->keeper.work, &pool->keeper.work);
		pthread_mutex_unlock(&pool->lock);
	}
}

/* ---- punching ------------------------------------------------------------------------------- */

START_TEST(test_punched_to_three_quarters_of_the_watermark)
{
	struct kmemblk *h;
	struct kmemblk_info info;

	unit_format(SIZE, 0);
	h = unit_open_memory(&(struct kmemblk_memory_options){ .watermark = 400 * PAGE });
	write_some(h, 0, 2000);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 2000 * PAGE, 0), 0);
	settle(&h->pool);
	info = unit_info(h);
	/* And what the tables, which stay, could be copied to. */
	ck_assert_uint_eq(info.pages_resident, 300 + info.pages_tables);
	ck_assert_uint_ge(info.pages_punched, 1500);
	/* Up to 400 may come and go without a punch. */
	for (int i = 0; i < 20; i++) {
		write_some(h, 0, 40);
		ck_assert_int_eq(kmemblk_trim(disk_of(h), 40 * PAGE, 0), 0);
		/* What is retired is not there for others yet, so they would take more. */
		settle(&h->pool);
	}
	ck_assert_uint_eq(unit_info(h).pages_punched, info.pages_punched);
	kmemblk_close(h);
}
END_TEST

/* True until the keeper has found nothing left in the caches. */
static _Atomic bool is_retired;

unsigned int __real_cache_empty(struct pool *pool);
unsigned int __wrap_cache_empty(struct pool *pool);

unsigned int __wrap_cache_empty(struct pool *pool)
{
	unsigned int n = __real_cache_empty(pool);

	if (n == 0 && atomic_exchange(&is_retired, false))
		while (reclaim_count_retired(pool) > 0)
			usleep(1000);
	return n;
}

static void *read_until_looked_for(void *opaque)
{
	pthread_barrier_t *reading = opaque;

	grace_enter();
	pthread_barrier_wait(reading);
	while (atomic_load(&is_retired))
		usleep(1000);
	grace_leave();
	return NULL;
}

/* Else it is not punched until something else is reclaimed, as on a disk that rests: perhaps never. */
START_TEST(test_what_comes_back_while_it_is_looked_for_is_punched)
{
	struct kmemblk *h;
	pthread_barrier_t reading;
	pthread_t reader;

	/* So that it has nothing else to punch. */
	unit_format_with(&(struct kmemblk_format_options){ .create_size = SIZE, .spare_pages = 1 });
	h = unit_open_memory(&(struct kmemblk_memory_options){ .watermark = 0 });
	write_some(h, 0, 200);
	settle(&h->pool);
	atomic_store(&is_retired, true);
	pthread_barrier_init(&reading, NULL, 2);
	pthread_create(&reader, NULL, read_until_looked_for, &reading);
	pthread_barrier_wait(&reading);
	/* In one section. */
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 8 * PAGE, 0), 0);
	pthread_join(reader, NULL);
	settle(&h->pool);
	ck_assert_uint_le(unit_info(h).pages_resident,
			  unit_info(h).pages_spare + unit_info(h).pages_tables);
	kmemblk_close(h);
	pthread_barrier_destroy(&reading);
}
END_TEST

START_TEST(test_reservations_keep_their_storage)
{
	struct kmemblk *h;
	struct kmemblk_info info;

	unit_format(SIZE, 0);
	h = unit_open_memory(&(struct kmemblk_memory_options){ .watermark = 0 });
	write_some(h, 0, 2000);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 1500 * PAGE, 0), 0);
	/* Superblocks, directories, tables, 500 blocks, and as many for overwriting as the spare says. */
	info = unit_info(h);
	settle(&h->pool);
	ck_assert_uint_le(unit_storage(unit_device),
			  (4 + info.pages_tables + 500 + info.pages_spare) * PAGE);
	ck_assert_uint_ge(unit_info(h).pages_resident, info.pages_spare);
	for (uint64_t b = 1500; b < 2000; b++)
		unit_expect(h, b, b);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 500 * PAGE, 1500 * PAGE), 0);
	settle(&h->pool);
	ck_assert_uint_le(unit_storage(unit_device), (4 + 2 * info.pages_tables) * PAGE);
	ck_assert_uint_eq(unit_info(h).pages_resident, info.pages_tables);
	write_some(h, 0, 100);
	for (uint64_t b = 0; b < 100; b++)
		unit_expect(h, b, b);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_never_means_never)
{
	struct kmemblk *h;

	unit_format(SIZE, 0);
	h = unit_open_memory(&(struct kmemblk_memory_options){ .punch = KMEMBLK_PUNCH_NEVER });
	write_some(h, 0, 2000);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 2000 * PAGE, 0), 0);
	settle(&h->pool);
	ck_assert_uint_ge(unit_storage(unit_device), 2000 * PAGE);
	ck_assert_uint_eq(unit_info(h).pages_punched, 0);
	kmemblk_close(h);
	/* What it left is given back at the next start, also what was never written. */
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	ck_assert_uint_ge(unit_storage(unit_device), 2000 * PAGE);
	ck_assert_int_eq(kmemblk_set_memory(h, &(struct kmemblk_memory_options){ .watermark = 0 }),
			 0);
	ck_assert_int_eq(kmemblk_start(h), 0);
	settle(&h->pool);
	ck_assert_uint_le(unit_storage(unit_device), (4 + 2 * unit_info(h).pages_tables) * PAGE);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_what_a_short_writer_adds_is_not_punched_soon)
{
	uint64_t need;

	bare_open(4000, 10, 100);
	bare.keeper.punch = true;
	bare.keeper.watermark = 400;
	need = pool_storage_for(&bare, bare.reserved);
	pthread_mutex_lock(&bare.lock);
	for (int i = 0; i < 100; i++)
		storage_populate_more_locked(&bare);
	pthread_mutex_unlock(&bare.lock);
	/* As much again may be trimmed before there is more than is kept. */
	ck_assert_uint_gt(bare.stored, need + 100);
	ck_assert_uint_le(bare.stored, need + 201);
	bare_close();
}
END_TEST

/* ---- a memory user -------------------------------------------------------------------------- */

struct user {
	struct kmemblk *h;
	_Atomic unsigned int offers, asked;
	_Atomic size_t wanted;
	_Atomic bool dirty; /* an offered run was not zeroed */
	_Atomic bool take;
	bool give, more;
	uint8_t *run[4096];
	size_t length[4096];
	unsigned int count;
	void *loans[8192]; /* borrowed pages */
	unsigned int borrowed;
};

static struct user user;

static int on_offer(void *opaque, void *memory, size_t length)
{
	struct user *u = opaque;

	if (!unit_is_zero(memory, length))
		u->dirty = true;
	if (u->take) {
		memset(memory, 0x77, length);
		u->run[u->count] = memory;
		u->length[u->count++] = length;
	}
	atomic_fetch_add(&u->offers, 1);
	return u->take;
}

static int on_recall(void *opaque, size_t length)
{
	struct user *u = opaque;

	u->wanted = length;
	for (; u->give && length > 0 && u->borrowed > 0; length -= PAGE)
		kmemblk_return(u->h, u->loans[--u->borrowed], PAGE);
	atomic_fetch_add(&u->asked, 1);
	return u->more;
}

static const struct kmemblk_memory_options with_user = {
	.punch = KMEMBLK_PUNCH_NEVER,
	.watermark = KMEMBLK_DEFAULT,
	.headroom = 200 * PAGE,
	.user = { .offer = on_offer, .recall = on_recall, .opaque = &user },
};

/* All that can be had: what is being offered cannot. */
static void borrow_all(void)
{
	settle(&user.h->pool);
	while (kmemblk_borrow(user.h, PAGE, PAGE, &user.loans[user.borrowed]) == 0) {
		memset(user.loans[user.borrowed], 0x88, PAGE);
		user.borrowed++;
	}
}

START_TEST(test_what_is_reclaimed_is_offered_zeroed)
{
	/* Not while blocks are written: what is taken then, and not given back, they may lack. */
	user = (struct user){ .take = false };
	unit_format(SIZE, 0);
	user.h = unit_open_memory(&with_user);
	write_some(user.h, 0, 2000);
	settle(&user.h->pool);
	user.take = true;
	ck_assert_int_eq(kmemblk_trim(disk_of(user.h), 1900 * PAGE, 0), 0);
	settle(&user.h->pool);
	ck_assert_uint_ge(unit_info(user.h).pages_lent, 1800);
	ck_assert(!user.dirty);
	for (uint64_t b = 1900; b < 2000; b++)
		unit_expect(user.h, b, b);
	user.take = false;
	/* In whole or in parts. */
	for (unsigned int i = 0; i < user.count; i++) {
		ck_assert_int_eq(kmemblk_return(user.h, user.run[i], PAGE), 0);
		if (user.length[i] > PAGE)
			ck_assert_int_eq(kmemblk_return(user.h, user.run[i] + PAGE,
							user.length[i] - PAGE),
					 0);
	}
	ck_assert_uint_eq(unit_info(user.h).pages_lent, 0);
	kmemblk_close(user.h);
	unit_expect_clean();
}
END_TEST

START_TEST(test_a_refusal_ends_the_offers_until_others_are_reclaimed)
{
	unsigned int before;

	user = (struct user){ .take = false };
	unit_format(SIZE, 0);
	user.h = unit_open_memory(&with_user);
	write_some(user.h, 0, 1000);
	settle(&user.h->pool);
	for (uint64_t b = 0; b < 50; b++) {
		before = user.offers;
		ck_assert_int_eq(kmemblk_trim(disk_of(user.h), PAGE, b * PAGE), 0);
		settle(&user.h->pool);
		ck_assert_uint_eq(user.offers, before + 1);
	}
	ck_assert_uint_eq(unit_info(user.h).pages_lent, 0);
	kmemblk_close(user.h);
}
END_TEST

START_TEST(test_recalled_below_the_headroom)
{
	user = (struct user){ .give = true };
	unit_format(SIZE, 0);
	user.h = unit_open_memory(&with_user);
	borrow_all();
	settle(&user.h->pool);
	ck_assert_uint_eq(user.asked, 0);
	write_some(user.h, 0, 1);
	settle(&user.h->pool);
	ck_assert_uint_ge(user.asked, 1);
	/* Up to a quarter above the headroom. */
	ck_assert_uint_ge(user.wanted, 50 * PAGE);
	kmemblk_close(user.h);
}
END_TEST

START_TEST(test_every_block_can_be_had_from_who_gives)
{
	struct kmemblk_info info;

	user = (struct user){ .give = true };
	unit_format(SIZE, 0);
	user.h = unit_open_memory(&with_user);
	borrow_all();
	info = unit_info(user.h);
	write_some(user.h, 0, info.blocks);
	for (uint64_t b = 0; b < info.blocks; b++)
		unit_expect(user.h, b, b);
	ck_assert_uint_eq(unit_info(user.h).pages_lent, user.borrowed);
	kmemblk_close(user.h);
	unit_expect_clean();
}
END_TEST

/* Write until there is no page; how many blocks were written. */
static uint64_t write_until_full(void)
{
	uint8_t block[PAGE];
	uint64_t b = 0;
	int rc;

	do {
		unit_fill(block, b);
		rc = kmemblk_write(disk_of(user.h), block, PAGE, b * PAGE);
	} while (rc == 0 && ++b < unit_info(user.h).blocks);
	if (rc != 0)
		unit_expect_error(rc, ENOSPC, " lent as memory and not given back: trim ");
	return b;
}

START_TEST(test_who_refuses_is_asked_and_costs_enospc)
{
	uint64_t written;

	user = (struct user){ .give = false };
	unit_format(SIZE, 0);
	user.h = unit_open_memory(&with_user);
	borrow_all();
	written = write_until_full();
	/* The headroom; tables have pages of their own. */
	ck_assert_uint_eq(written, 200);
	ck_assert_uint_ge(user.asked, 1);
	for (uint64_t b = 0; b < written; b++)
		unit_expect(user.h, b, b);
	for (unsigned int i = 0; i < user.borrowed; i++)
		ck_assert(((uint8_t *)user.loans[i])[i % PAGE] == 0x88);
	kmemblk_close(user.h);
	unit_expect_clean();
}
END_TEST

START_TEST(test_more_to_come_that_never_comes_ends_with_the_time)
{
	struct kmemblk_memory_options options = with_user;

	options.user.timeout_ms = 50;
	user = (struct user){ .more = true };
	unit_format(SIZE, 0);
	user.h = unit_open_memory(&options);
	borrow_all();
	ck_assert_uint_eq(write_until_full(), 200);
	kmemblk_close(user.h);
}
END_TEST

static void *write_all(void *opaque)
{
	*(uint64_t *)opaque = write_until_full();
	return NULL;
}

START_TEST(test_a_writer_is_woken_by_a_return)
{
	struct kmemblk_memory_options options = with_user;
	uint64_t written = 0;
	pthread_t thread;

	/* So long that the test's time limit would show a wait that is not woken. */
	options.user.timeout_ms = 1000000;
	user = (struct user){ .more = true };
	unit_format(SIZE, 0);
	user.h = unit_open_memory(&options);
	borrow_all();
	pthread_create(&thread, NULL, write_all, &written);
	/* Only when it is in need, and page by page. */
	for (; user.borrowed > 0; user.borrowed--) {
		AWAIT(user.asked != 0);
		ck_assert_int_eq(kmemblk_return(user.h, user.loans[user.borrowed - 1], PAGE), 0);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(written, unit_info(user.h).blocks);
	kmemblk_close(user.h);
	unit_expect_clean();
}
END_TEST

/* The last round that a lending server was asked in. */
static uint64_t lender_round(struct pool *pool)
{
	uint64_t round;

	pthread_mutex_lock(&pool->lock);
	round = pool->lender.round;
	pthread_mutex_unlock(&pool->lock);
	return round;
}

static int on_recall_answer_late(void *opaque, size_t length)
{
	struct pool *pool = &user.h->pool;

	(void)opaque;
	(void)length;
	pthread_mutex_lock(&pool->lock);
	if (pool->lender.round != 0)
		recall_answered_locked(pool, pool->lender.round);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

static void *write_one(void *opaque)
{
	uint64_t *block = opaque;
	uint8_t data[PAGE];

	unit_fill(data, *block);
	return kmemblk_write(disk_of(user.h), data, PAGE, *block * PAGE) == 0 ? block : NULL;
}

START_TEST(test_an_answer_is_of_the_round_that_was_asked)
{
	struct kmemblk_memory_options options = with_user;
	uint64_t block[2] = { 0, 1 };
	pthread_t thread[2];
	void *written;

	options.headroom = 0;
	options.user.timeout_ms = 1000000;
	options.user.recall = on_recall_answer_late;
	user = (struct user){ .take = false };
	unit_format(SIZE, 0);
	user.h = unit_open_memory(&options);
	/* So that a block needs one page, and no table. */
	unit_write(user.h, 2, 2);
	borrow_all();
	pthread_mutex_lock(&user.h->pool.lock);
	user.h->pool.lender.event = eventfd(0, EFD_CLOEXEC);
	user.h->pool.lender.borrowers = 1;
	pthread_mutex_unlock(&user.h->pool.lock);
	for (uint64_t i = 0; i < 2; i++) {
		pthread_create(&thread[i], NULL, write_one, &block[i]);
		AWAIT(lender_round(&user.h->pool) == i + 1);
	}
	/* The second round was being taken up when the first was answered. */
	pthread_join(thread[0], &written);
	ck_assert_ptr_null(written);
	pause_a_little();
	ck_assert_int_eq(kmemblk_return(user.h, user.loans[--user.borrowed], PAGE), 0);
	pthread_join(thread[1], &written);
	ck_assert_ptr_eq(written, &block[1]);
	unit_expect(user.h, 1, 1);
	ck_assert_uint_gt(user.h->pool.lender.wanted, 0);
	close(user.h->pool.lender.event);
	kmemblk_close(user.h);
	unit_expect_clean();
}
END_TEST

/* ---- below a handle ------------------------------------------------------------------------- */

START_TEST(test_not_offered_before_readers_are_done)
{
	uint64_t page[50];

	user = (struct user){ .take = true };
	bare_open(400, 10, 0);
	bare.keeper.user = with_user.user;
	bare.keeper.headroom = 0;
	ck_assert_int_eq(bare_reserve(300), 0);
	bare_take(page, 50);
	reserve_end(&bare, 300, 300);
	ck_assert_int_eq(keeper_start(&bare), 0);
	/* What is free already is offered first. */
	settle(&bare);
	ck_assert_uint_ge(user.offers, 1);
	user.offers = 0;
	grace_enter();
	reserve_unmap_begin(&bare);
	cache_retire(&bare, page, 50);
	reserve_unmap_end(&bare, 50);
	pause_a_little();
	ck_assert_uint_eq(user.offers, 0);
	grace_leave();
	AWAIT(user.offers != 0);
	keeper_stop(&bare);
	bare_close();
}
END_TEST

UNIT_MAIN("keeper", test_punched_to_three_quarters_of_the_watermark,
	  test_what_comes_back_while_it_is_looked_for_is_punched,
	  test_what_a_short_writer_adds_is_not_punched_soon, test_reservations_keep_their_storage,
	  test_never_means_never, test_what_is_reclaimed_is_offered_zeroed,
	  test_a_refusal_ends_the_offers_until_others_are_reclaimed,
	  test_recalled_below_the_headroom, test_every_block_can_be_had_from_who_gives,
	  test_who_refuses_is_asked_and_costs_enospc,
	  test_more_to_come_that_never_comes_ends_with_the_time, test_a_writer_is_woken_by_a_return,
	  test_an_answer_is_of_the_round_that_was_asked, test_not_offered_before_readers_are_done)
