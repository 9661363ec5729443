/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages.c - the free pages of a device, from open to close.
 *
 * Which pages are free is known from the map, and which of them have storage from the file system.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "pages/cache.h"
#include "pages/low.h"
#include "pages/pages.h"
#include "pages/reclaim.h"
#include "pages/storage.h"
#include "pages/zone.h"

/* Put every data page that no entry names into the set, in runs. */
static void add_unnamed(struct pool *pool, struct pageset *set, uint64_t from, uint64_t to,
			const _Atomic uint64_t *named)
{
	uint64_t end;

	for (from -= pool->first, to -= pool->first; from < to; from = end) {
		from = bitmap_find(named, from, to, false);
		end = bitmap_find(named, from, to, true);
		if (from < end)
			pageset_add(set, pool->first + from, end - from);
	}
}

/* Sort all data pages into the sets. */
static void sort_pages(struct pool *pool, const _Atomic uint64_t *named)
{
	uint64_t at = pool->first;
	uint64_t limit = pool->first + pool->count;
	uint64_t start, end;

	while (device_next_data(pool->device, at << LAYOUT_PAGE_SHIFT, limit << LAYOUT_PAGE_SHIFT,
				&start, &end)) {
		/* A page that is data only in part counts as data. */
		start >>= LAYOUT_PAGE_SHIFT;
		end = (end + LAYOUT_PAGE_SIZE - 1) >> LAYOUT_PAGE_SHIFT;
		add_unnamed(pool, &pool->absent, at, start, named);
		add_unnamed(pool, &pool->resident, start, end, named);
		at = end;
	}
	add_unnamed(pool, &pool->absent, at, limit, named);
	pool->stored = pool->usable - pool->absent.total;
}

int pages_open(struct pool *pool, const struct device *device, const struct pages_found *found)
{
	int rc = pool_init(pool, device, found->first, found->count, found->bad);

	if (rc == 0)
		rc = cache_init(pool);
	if (rc != 0) {
		pages_close(pool);
		return fail(ENOMEM, "open: %s: out of memory for the free pages", device->path);
	}
	pool->spare = found->spare;
	pool->reserved = found->reserved;
	atomic_init(&pool->blocks, found->blocks);
	sort_pages(pool, found->named);
	pthread_mutex_lock(&pool->lock);
	rc = zone_adopt_locked(pool);
	if (rc != 0)
		goto out;
	rc = low_set_aside_locked(pool, found->for_tables);
	if (rc != 0) {
		rc = fail(ENOMEM, "open: %s: out of memory for the free pages", device->path);
		goto out;
	}
	rc = storage_populate_for_locked(pool, found->reserved);
	/* Before it fails for want of storage, no page is for tables only. */
	if (rc != 0 && low_give_up_locked(pool, pool->count) > 0)
		rc = storage_populate_for_locked(pool, found->reserved);
	if (rc != 0 && storage_find_locked(pool, found->reserved))
		rc = 0;
	/* All there is has storage: bad pages have taken from the spare. */
	if (rc == -ENOSPC && pool->absent.total == 0)
		rc = 0;
	if (rc != 0)
		fail(-rc,
		     "open: %s: its file system has no room for the spare pages that "
		     "overwrites need; make room, or open it read-only",
		     device->path);
out:
	pthread_mutex_unlock(&pool->lock);
	if (rc != 0)
		pages_close(pool);
	return rc;
}

void pages_close(struct pool *pool)
{
	if (pool->device == NULL)
		return;
	cache_destroy(pool);
	pool_destroy(pool);
	pool->device = NULL;
}

void pages_count(struct pool *pool, struct pages_count *count)
{
	uint64_t retired = reclaim_count_retired(pool);
	/* Relaxed: for people. */
	uint64_t blocks = atomic_load_explicit(&pool->blocks, memory_order_relaxed);
	uint64_t in_use;

	pthread_mutex_lock(&pool->lock);
	/* What is pending will be in use, or no longer reserved. */
	in_use = blocks + pool->tables + pool->pending;
	*count = (struct pages_count){
		.used = blocks,
		.tables = pool->tables,
		.free = pool->count - blocks - pool->tables - pool->quarantined,
		.reserved = pool->reserved > in_use ? pool->reserved - in_use : 0,
		.spare = pool->spare,
		.for_tables = pool->low.free,
		.headroom = pool->keeper.headroom,
		.quarantined = pool->quarantined,
		.lent = pool->lent.total,
		.resident = pool->stored - pool->reserved,
		.retired = retired,
		.reclaimed = pool->reclaimed,
		.punched = pool->keeper.punched,
		.returned = pool->keeper.returned,
	};
	pthread_mutex_unlock(&pool->lock);
}
