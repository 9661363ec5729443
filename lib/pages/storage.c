/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * storage.c - give free pages storage, and take it away.
 *
 * On a file with holes, `reserved` blocks and tables need storage for their pages, and for the pages that their
 * overwrites pass through, up to the spare; so a full file system stops new blocks and nothing else.
 */
#include "config.h"

#include <errno.h>

#include "pages/storage.h"

/* Give storage to a run that is in neither set, so that nobody else has it meanwhile. */
static int populate_locked(struct pool *pool, uint64_t first, uint64_t n)
{
	int rc;

	pool->populating += n;
	pthread_mutex_unlock(&pool->lock);
	rc = device_allocate(pool->device, first << LAYOUT_PAGE_SHIFT, n << LAYOUT_PAGE_SHIFT);
	pthread_mutex_lock(&pool->lock);
	pool->populating -= n;
	if (rc == 0) {
		pool->stored += n;
		pool_free_locked(pool, first, n);
	} else {
		pool_absent_locked(pool, first, n);
		pool_freed_locked(pool, 1);
	}
	return rc;
}

int storage_populate_locked(struct pool *pool, uint64_t most)
{
	uint64_t first, n = pageset_take(&pool->absent, most, &first);

	return n == 0 ? -ENOSPC : populate_locked(pool, first, n);
}

int storage_populate_for_locked(struct pool *pool, uint64_t blocks)
{
	uint64_t target = pool_storage_for(pool, blocks);
	/* In large pieces, while the file system has room for such. */
	uint64_t largest = POPULATE_PAGES;

	while (pool->stored < target) {
		uint64_t soon = pool->stored + pool->populating;
		uint64_t n;
		int rc;

		if (soon >= target ||
		    (pool->absent.total == 0 && pool->populating + pool->punching > 0)) {
			/* Others have enough, or the last of them, in hand. */
			pthread_cond_wait(&pool->freed, &pool->lock);
			continue;
		}
		/* Half of what may be ahead: what comes and goes is then not punched at once. */
		n = target - soon + pool_ahead_locked(pool) / 2;
		rc = storage_populate_locked(pool, n < largest ? n : largest);
		if (rc == 0)
			continue;
		if (largest == 1 || pool->absent.total == 0)
			return rc;
		largest = largest > 8 ? largest / 8 : 1;
	}
	return 0;
}

/*
 * Free pages that were given storage and never written look like holes (SEEK_DATA), so they were
 * taken for absent ones at open.  Where the file system is full these are the ones that storage can
 * be given to, and only asking for each tells which they are.
 */
bool storage_find_locked(struct pool *pool, uint64_t blocks)
{
	uint64_t target = pool_storage_for(pool, blocks);
	uint64_t limit = pool->first + pool->count;

	if (device_storage(pool->device) >> LAYOUT_PAGE_SHIFT < target)
		return false;
	for (uint64_t page = pool->first; page < limit && pool->stored < target; page++) {
		if (!pageset_has(&pool->absent, page) ||
		    device_allocate(pool->device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE) != 0)
			continue;
		pageset_remove(&pool->absent, page, 1);
		pool->stored++;
		pool_free_locked(pool, page, 1);
	}
	return pool->stored >= target;
}

int storage_populate_more_locked(struct pool *pool)
{
	uint64_t most = pool_storage_for(pool, pool->reserved) + pool_ahead_locked(pool);
	int rc;

	if (pool->absent.total == 0 && pool->populating + pool->punching > 0) {
		/* Others have the last of them in hand, and may leave some. */
		pthread_cond_wait(&pool->freed, &pool->lock);
		return 1;
	}
	if (pool->stored + pool->populating > most)
		return 0;
	/* One at least, for the first block of an empty device. */
	most = most - pool->stored - pool->populating + 1;
	if (most > POPULATE_PAGES)
		most = POPULATE_PAGES;
	/* A file system that is nearly full may still have a few. */
	while ((rc = storage_populate_locked(pool, most)) == -ENOSPC && most > 1 &&
	       pool->absent.total > 0)
		most = most > 8 ? most / 8 : 1;
	return rc == 0 ? 1 : rc;
}

int64_t storage_punch_locked(struct pool *pool, uint64_t most)
{
	uint64_t need = pool_storage_for(pool, pool->reserved);
	uint64_t first, n;
	int rc;

	if (pool->stored <= need)
		return 0;
	if (most > pool->stored - need)
		most = pool->stored - need;
	n = pageset_take_back(&pool->resident, most, &first);
	if (n == 0)
		return 0;
	/* In neither set, so that nobody else has them meanwhile. */
	pool->stored -= n;
	pool->punching += n;
	pthread_mutex_unlock(&pool->lock);
	rc = device_punch(pool->device, first << LAYOUT_PAGE_SHIFT, n << LAYOUT_PAGE_SHIFT);
	pthread_mutex_lock(&pool->lock);
	pool->punching -= n;
	if (rc == 0) {
		pool_absent_locked(pool, first, n);
		pool_freed_locked(pool, 1);
	} else {
		pool->stored += n;
		pool_free_locked(pool, first, n);
	}
	return rc == 0 ? (int64_t)n : rc;
}

static void punch_unwritten(const struct pool *pool, uint64_t from, uint64_t to)
{
	if (from < to)
		(void)device_punch(pool->device, from << LAYOUT_PAGE_SHIFT,
				   (to - from) << LAYOUT_PAGE_SHIFT);
}

/*
 * Free pages that were given storage and never written were taken for absent ones at open, as
 * storage_find_locked() tells, too.  If the file has more storage than it should, make them that.
 * Before any thread: nobody looks at the sets.  What fails costs memory, and nothing else.
 */
void storage_punch_unwritten(struct pool *pool)
{
	uint64_t should = pool->first + 1 + pool->stored + pool->low.stored.total;
	struct pageset punched;
	/* A run as long as it can be: most of a large device is a few of them. */
	uint64_t from = 0, to = 0, first, n;

	if (!pool->keeper.punch ||
	    device_storage(pool->device) >> LAYOUT_PAGE_SHIFT <= should + pool->keeper.watermark ||
	    pageset_init(&punched, pool->first, pool->count) != 0)
		return;
	for (uint64_t zone = 0; zone < pool_zones(pool); zone++)
		while ((n = pageset_first_run(&pool->absent, zone, &first)) > 0) {
			if (first != to) {
				punch_unwritten(pool, from, to);
				from = first;
			}
			to = first + n;
			pageset_remove(&pool->absent, first, n);
			pageset_add(&punched, first, n);
		}
	punch_unwritten(pool, from, to);
	pageset_destroy(&pool->absent);
	pool->absent = punched;
}
