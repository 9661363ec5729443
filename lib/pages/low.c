/* SPDX-License-Identifier: BSD-3-Clause */
/* low.c - pages at the low end of the device, which are for tables.  See low.h. */
#include "config.h"

#include "pages/low.h"

/* Set one aside; false if it holds something, or somebody has it. */
static bool set_aside_locked(struct pool *pool, uint64_t page)
{
	struct low *low = &pool->low;

	if (pageset_has(&pool->absent, page)) {
		pageset_remove(&pool->absent, page, 1);
		pageset_add(&low->holes, page, 1);
		return true;
	}
	if (!pageset_has(&pool->resident, page))
		return false;
	pageset_remove(&pool->resident, page, 1);
	pageset_add(&low->stored, page, 1);
	pool->stored--;
	return true;
}

int low_set_aside_locked(struct pool *pool, uint64_t n)
{
	struct low *low = &pool->low;
	int rc = pageset_init(&low->all, pool->first, n);

	if (rc == 0)
		rc = pageset_init(&low->stored, pool->first, n);
	if (rc == 0)
		rc = pageset_init(&low->holes, pool->first, n);
	if (rc != 0)
		return rc;
	low->end = pool->first + n;
	for (uint64_t page = pool->first; page < low->end && pool_room_locked(pool) > 0; page++)
		if (set_aside_locked(pool, page)) {
			pageset_add(&low->all, page, 1);
			low->free++;
		}
	return 0;
}

uint64_t low_give_up_locked(struct pool *pool, uint64_t most)
{
	struct low *low = &pool->low;
	uint64_t first, n, given = 0;

	while ((n = pageset_take(&low->stored, most - given, &first)) > 0) {
		pageset_remove(&low->all, first, n);
		low->free -= n;
		pool->stored += n;
		pool_free_locked(pool, first, n);
		given += n;
	}
	while ((n = pageset_take(&low->holes, most - given, &first)) > 0) {
		pageset_remove(&low->all, first, n);
		low->free -= n;
		pool_absent_locked(pool, first, n);
		given += n;
	}
	return given;
}

/*
 * Give one storage.  Lets go of the lock, and so counts it as free until then: whoever takes it for a table counts that
 * before he lets go of the lock again, and nobody can have reserved it as room in between.
 */
static bool populate_locked(struct pool *pool, uint64_t page)
{
	int rc;

	pool->populating++;
	pthread_mutex_unlock(&pool->lock);
	rc = device_allocate(pool->device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE);
	pthread_mutex_lock(&pool->lock);
	pool->populating--;
	if (rc == 0) {
		pool->low.free--;
		pool->stored++;
	} else {
		pageset_add(&pool->low.holes, page, 1);
	}
	/* Who waits for one to be free looks again. */
	pool_freed_locked(pool, 1);
	return rc == 0;
}

bool low_take_locked(struct pool *pool, uint64_t *page)
{
	struct low *low = &pool->low;

	/* Relaxed: while it is set nothing comes out of a grace period, and the reclaimer wakes who waits. */
	while (low->stored.total + low->holes.total == 0 && low->free > 0 &&
	       !atomic_load_explicit(&pool->frozen, memory_order_relaxed)) {
		pool_hurry_locked(pool);
		pthread_cond_wait(&pool->freed, &pool->lock);
	}
	if (pageset_take(&low->stored, 1, page) > 0) {
		low->free--;
		pool->stored++;
		return true;
	}
	return pageset_take(&low->holes, 1, page) > 0 && populate_locked(pool, *page);
}
