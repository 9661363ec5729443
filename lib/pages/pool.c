/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.c - the pages that hold no block, and what all who use them share.  See pool.h. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pages/pool.h"

/* Of all data pages: free ones that are not punched, and that are not lent. */
#define WATERMARK_SHARE 256u
#define WATERMARK_MAX	16384u
#define HEADROOM_SHARE	32u

/* How long a writer waits for memory to come back. */
#define TIMEOUT_MS 10000u

/* Defaults. */
static void init_keeper(struct pool *pool)
{
	struct keeper *keeper = &pool->keeper;

	keeper->punch = pool->device->holes;
	keeper->watermark = pool->count / WATERMARK_SHARE < WATERMARK_MAX
				    ? pool->count / WATERMARK_SHARE
				    : WATERMARK_MAX;
	keeper->headroom = pool->count / HEADROOM_SHARE;
	keeper->user.timeout_ms = TIMEOUT_MS;
	keeper->asked_at = INT64_MAX;
	/* What is free at the start is offered, too. */
	keeper->offering = true;
}

int pool_init(struct pool *pool, const struct device *device, uint64_t first, uint64_t count,
	      uint64_t bad)
{
	int rc;

	*pool = (struct pool){
		.device = device,
		.first = first,
		.count = count,
		.usable = count - bad,
		.quarantined = bad,
		.lender.event = -1,
	};
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->page, NULL);
	pthread_cond_init(&pool->freed, NULL);
	pthread_cond_init(&pool->ended, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->keeper.work, NULL);
	pthread_cond_init(&pool->zones.work, NULL);
	init_keeper(pool);
	pool->bad = bitmap_new(count);
	rc = pool->bad == NULL ? -ENOMEM : pageset_init(&pool->resident, first, count);
	if (rc == 0)
		rc = pageset_init(&pool->absent, first, count);
	if (rc == 0)
		rc = pageset_init(&pool->lent, first, count);
	if (rc == 0)
		rc = pageset_init(&pool->zones.stored, first, count);
	if (rc == 0)
		rc = pageset_init(&pool->zones.holes, first, count);
	if (rc == 0) {
		pool->zones.tables = calloc(pool_zones(pool) + 1, sizeof(uint16_t));
		pool->zones.flags = bitmap_new(pool_zones(pool));
		pool->zones.perhaps = calloc(pool_zones(pool) / 64 + 1, sizeof(uint64_t));
		pool->zones.blocked = calloc(pool_zones(pool) / 64 + 1, sizeof(uint64_t));
		if (pool->zones.tables == NULL || pool->zones.flags == NULL ||
		    pool->zones.perhaps == NULL || pool->zones.blocked == NULL)
			rc = -ENOMEM;
	}
	if (rc == 0)
		memset(pool->zones.perhaps, 0xff, (pool_zones(pool) / 64 + 1) * sizeof(uint64_t));
	return rc;
}

void pool_destroy(struct pool *pool)
{
	free((void *)pool->bad);
	pageset_destroy(&pool->resident);
	pageset_destroy(&pool->absent);
	pageset_destroy(&pool->lent);
	pageset_destroy(&pool->zones.stored);
	pageset_destroy(&pool->zones.holes);
	pageset_destroy(&pool->low.all);
	pageset_destroy(&pool->low.stored);
	pageset_destroy(&pool->low.holes);
	free(pool->zones.tables);
	free((void *)pool->zones.flags);
	free(pool->zones.perhaps);
	free(pool->zones.blocked);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->page);
	pthread_cond_destroy(&pool->freed);
	pthread_cond_destroy(&pool->ended);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->keeper.work);
	pthread_cond_destroy(&pool->zones.work);
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* Its zone may be wholly free now. */
static void note_zone_locked(struct pool *pool, uint64_t page)
{
	uint64_t zone = pool_zone_of(pool, page);

	pool->zones.perhaps[zone / 64] |= UINT64_C(1) << zone % 64;
}

/*
 * True for a page that is for tables, but for one that the spare has lost: where the low end was full, a table or a
 * record was put elsewhere, and has then left this page.
 */
static bool stays_low_locked(struct pool *pool, uint64_t page)
{
	if (!pool_is_low_locked(pool, page))
		return false;
	/* While something is pending, `reserved` may yet fall. */
	if (pool_room_locked(pool) >= 0 || pool->pending > 0)
		return true;
	pageset_remove(&pool->low.all, page, 1);
	pool->low.free--;
	return false;
}

void pool_free_locked(struct pool *pool, uint64_t first, uint64_t n)
{
	for (uint64_t page = first; page < first + n; page++) {
		if (bitmap_test(pool->bad, page - pool->first)) {
			pool_quarantine_locked(pool, page);
		} else if (stays_low_locked(pool, page)) {
			pool->stored--;
			pageset_add(&pool->low.stored, page, 1);
		} else if (pool_evacuating(pool, page)) {
			pool->stored--;
			pageset_add(&pool->zones.stored, page, 1);
		} else {
			pageset_add(&pool->resident, page, 1);
		}
		note_zone_locked(pool, page);
	}
	pool_freed_locked(pool, n);
}

void pool_absent_locked(struct pool *pool, uint64_t first, uint64_t n)
{
	for (uint64_t page = first; page < first + n; page++) {
		pageset_add(pool_evacuating(pool, page) ? &pool->zones.holes : &pool->absent, page,
			    1);
		note_zone_locked(pool, page);
	}
}

void pool_quarantine_locked(struct pool *pool, uint64_t page)
{
	pool->quarantined++;
	pool->usable--;
	pool->stored--;
	if (pool_is_low_locked(pool, page)) {
		pageset_remove(&pool->low.all, page, 1);
		pool->low.free--;
	}
}

void pool_note_table(struct pool *pool, uint64_t page)
{
	pthread_mutex_lock(&pool->lock);
	pool->tables++;
	pool->zones.tables[pool_zone_of(pool, page)]++;
	/* Also one that was there at open: once it is free, it is for another table. */
	if (page < pool->low.end && !pageset_has(&pool->low.all, page))
		pageset_add(&pool->low.all, page, 1);
	pthread_mutex_unlock(&pool->lock);
}

void pool_forget_table(struct pool *pool, uint64_t page)
{
	pthread_mutex_lock(&pool->lock);
	pool->tables--;
	pool->zones.tables[pool_zone_of(pool, page)]--;
	pool->low.free += pool_is_low_locked(pool, page);
	pthread_mutex_unlock(&pool->lock);
}

void pool_put_table(struct pool *pool, uint64_t page)
{
	pthread_mutex_lock(&pool->lock);
	pool->low.free += pool_is_low_locked(pool, page);
	pool_free_locked(pool, page, 1);
	pthread_mutex_unlock(&pool->lock);
}

void pool_put(struct pool *pool, const uint64_t *page, unsigned int n)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&pool->lock);
	for (unsigned int i = 0; i < n; i++)
		pool_free_locked(pool, page[i], 1);
	pthread_mutex_unlock(&pool->lock);
}

bool pool_spill_locked(struct pool *pool)
{
	struct batch *batch = batch_pop(&pool->recent);

	if (batch == NULL)
		return false;
	for (uint32_t i = batch->taken; i < batch->count; i++)
		pool_free_locked(pool, batch->page[i], 1);
	batch_push(&pool->empty, batch);
	return true;
}

void pool_mark_bad(struct pool *pool, uint64_t page)
{
	if (page - pool->first >= pool->count)
		return;
	bitmap_set(pool->bad, page - pool->first);
	/* After the bit: whoever sees this looks at the bits. */
	atomic_store_explicit(&pool->any_bad, true, memory_order_release);
}

void pool_mark_suspect(struct pool *pool, uint64_t page)
{
	/* Relaxed, here and below: a few more or less do not matter. */
	if (atomic_load_explicit(&pool->suspects, memory_order_relaxed) >= pool->spare / 2 ||
	    page - pool->first >= pool->count || bitmap_test(pool->bad, page - pool->first))
		return;
	atomic_fetch_add_explicit(&pool->suspects, 1, memory_order_relaxed);
	pool_mark_bad(pool, page);
}

void pool_freeze(struct pool *pool)
{
	/*
	 * Relaxed: the grace period that the reclaimer waits for before it looks orders the caller's
	 * section, and so this store, before the look.
	 */
	atomic_store_explicit(&pool->frozen, true, memory_order_relaxed);
}

/* ---- counts --------------------------------------------------------------------------------- */

int64_t pool_room_locked(const struct pool *pool)
{
	return (int64_t)(pool->usable - pool->reserved - pool->lent.total - pool->spare -
			 pool->low.free);
}

uint64_t pool_lendable_locked(const struct pool *pool)
{
	int64_t n = pool_room_locked(pool) - (int64_t)pool->keeper.headroom;

	return n > 0 ? (uint64_t)n : 0;
}

uint64_t pool_unneeded_locked(const struct pool *pool)
{
	uint64_t need = pool_storage_for(pool, pool->reserved);

	return pool->stored > need ? pool->stored - need : 0;
}

uint64_t pool_ahead_locked(const struct pool *pool)
{
	/*
	 * Half, since punching begins above all of it: a writer that is short, and takes storage up
	 * to the limit, must not have it punched after the next trims.
	 */
	return pool->keeper.punch ? pool->keeper.watermark / 2 : pool->count;
}

bool pool_too_much_locked(const struct pool *pool)
{
	/* Not what a writer that is short has just had storage given to. */
	return pool->keeper.punch && pool->waiting == 0 &&
	       pool_unneeded_locked(pool) > pool->keeper.watermark;
}

/* The background asks: room has fallen below the headroom, or by an eighth of it since last time. */
bool pool_low_locked(struct pool *pool)
{
	struct keeper *keeper = &pool->keeper;
	int64_t free = pool_room_locked(pool);

	if (free >= (int64_t)keeper->headroom)
		keeper->asked_at = INT64_MAX;
	return pool->lent.total > 0 && free < (int64_t)keeper->headroom && free < keeper->asked_at;
}

bool pool_can_recall_locked(const struct pool *pool)
{
	return pool->keeper.user.recall != NULL || pool->lender.event != -1;
}

/* ---- wake-ups ------------------------------------------------------------------------------- */

void pool_freed_locked(struct pool *pool, uint64_t n)
{
	pthread_cond_broadcast(&pool->freed);
	if (n == 0)
		n = 1;
	for (uint64_t i = 0; i < n && i < pool->waiting; i++)
		pthread_cond_signal(&pool->page);
}

void pool_call_keeper_locked(struct pool *pool)
{
	/* It may be looking, without the lock, at what is another by now. */
	pool->keeper.called = true;
	pthread_cond_signal(&pool->keeper.work);
}

void pool_changed_locked(struct pool *pool)
{
	struct keeper *keeper = &pool->keeper;

	if (!keeper->running)
		return;
	if (pool_too_much_locked(pool) || (pool_can_recall_locked(pool) && pool_low_locked(pool)) ||
	    (keeper->user.offer != NULL && keeper->offering))
		pool_call_keeper_locked(pool);
}

void pool_hurry_locked(struct pool *pool)
{
	if (pool->urgent)
		return;
	pool->urgent = true;
	pthread_cond_signal(&pool->work);
}

/* ---- zones ---------------------------------------------------------------------------------- */

unsigned int pool_free_in_zone_locked(const struct pool *pool, uint64_t zone)
{
	return (unsigned int)pool->resident.count[zone] + pool->absent.count[zone] +
	       pool->zones.stored.count[zone] + pool->zones.holes.count[zone];
}

void pool_block_evacuated_locked(struct pool *pool)
{
	struct zones *zones = &pool->zones;

	for (uint64_t zone = 0; zone < pool_zones(pool); zone++)
		if (bitmap_test(zones->flags, zone))
			zones->blocked[zone / 64] |= UINT64_C(1) << zone % 64;
}

void pool_unblock_zones(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	memset(pool->zones.blocked, 0, (pool_zones(pool) / 64 + 1) * sizeof(uint64_t));
	pthread_mutex_unlock(&pool->lock);
}

void pool_end_evacuation_locked(struct pool *pool)
{
	struct zones *zones = &pool->zones;
	uint64_t first, n;

	for (uint64_t zone = 0; zones->count > 0 && zone < pool_zones(pool); zone++)
		if (bitmap_test(zones->flags, zone)) {
			bitmap_clear(zones->flags, zone);
			zones->count--;
		}
	while ((n = pageset_take(&zones->stored, ZONE_PAGES, &first)) > 0) {
		pool->stored += n;
		pool_free_locked(pool, first, n);
	}
	while ((n = pageset_take(&zones->holes, ZONE_PAGES, &first)) > 0)
		pool_absent_locked(pool, first, n);
}
