/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * audit.c - see audit.h.
 *
 * What the maps name is found by the same scan as at open; what is free, retired or lent is where the pool has it.
 * Together they are all data pages, each once (invariant 5).  A page that is nowhere has leaked: it is of no use until
 * the next open, and no image shows it.
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "await.h"
#include "map/scan.h"
#include "pages/cache.h"

struct auditing {
	struct kmemblk *h;
	struct scan scan;
	_Atomic uint64_t *owned; /* data pages of which an owner has been seen */
	char *why;
	size_t size;
	bool failed;
};

static void found(struct auditing *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void found(struct auditing *a, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!a->failed)
		vsnprintf(a->why, a->size, format, args);
	va_end(args);
	a->failed = true;
}

static void own(struct auditing *a, uint64_t page, const char *owner)
{
	if (bitmap_set(a->owned, page - a->h->pool.first))
		found(a, "page %" PRIu64 " is %s, and has another owner", page, owner);
}

static void own_set(struct auditing *a, const struct pageset *set, const char *owner)
{
	const struct pool *pool = &a->h->pool;

	for (uint64_t page = pool->first; page < pool->first + pool->count; page++)
		if (pageset_has_run(set, page, 1))
			own(a, page, owner);
}

static void own_batch(struct auditing *a, const struct batch *batch, const char *owner)
{
	for (uint32_t i = batch == NULL ? 0 : batch->taken; batch != NULL && i < batch->count; i++)
		own(a, batch->page[i], owner);
}

static void own_list(struct auditing *a, const struct batch_list *list, const char *owner)
{
	for (const struct batch *batch = list->first; batch != NULL; batch = batch->next)
		own_batch(a, batch, owner);
}

static void own_free_locked(struct auditing *a)
{
	const struct pool *pool = &a->h->pool;

	own_set(a, &pool->resident, "free");
	own_set(a, &pool->absent, "absent");
	own_set(a, &pool->zones.stored, "free in a zone that is evacuated");
	own_set(a, &pool->zones.holes, "absent in a zone that is evacuated");
	own_set(a, &pool->low.stored, "free for tables");
	own_set(a, &pool->low.holes, "absent for tables");
	own_set(a, &pool->lent, "lent");
	own_list(a, &pool->recent, "reclaimed");
	own_list(a, &pool->full, "retired");
	for (unsigned int i = 0; i < pool->cache_count; i++) {
		own_batch(a, pool->caches[i].free, "free in a cache");
		own_batch(a, pool->caches[i].retired, "retired in a cache");
	}
}

/*
 * With nothing on its way through a grace period, or being given storage, and the keeper at rest: while he punches, he has
 * pages that he has taken out of the sets and the caches.
 */
static void lock_all(struct pool *pool)
{
	for (;;) {
		for (unsigned int i = 0; i < pool->cache_count; i++)
			cache_lock(&pool->caches[i]);
		pthread_mutex_lock(&pool->lock);
		if (pool->in_grace + pool->populating == 0 && !pool->keeper.punching)
			return;
		pthread_mutex_unlock(&pool->lock);
		for (unsigned int i = 0; i < pool->cache_count; i++)
			cache_unlock(&pool->caches[i]);
		usleep(1000);
	}
}

static void unlock_all(struct pool *pool)
{
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->cache_count; i++)
		cache_unlock(&pool->caches[i]);
}

static void compare(struct auditing *a, const char *whose, const char *what, uint64_t has,
		    uint64_t should)
{
	if (has != should)
		found(a, "%s: %s: %" PRIu64 ", and by the maps %" PRIu64, whose, what, has, should);
}

static void compare_views(struct auditing *a)
{
	for (unsigned int i = 0; i < a->scan.view_count; i++) {
		const struct scan_view *view = &a->scan.views[i];
		const struct kmemblk_volume *v = a->h->volumes[view->number];
		const char *name = view->map.record.name;

		if (v == NULL) {
			found(a, "%s is on the media only", name);
			continue;
		}
		compare(a, name, "pages of blocks", v->map.used, view->used);
		compare(a, name, "tables", v->map.tables, view->tables);
		compare(a, name, "pages of blocks that it owns", v->map.owned, view->owned);
		compare(a, name, "tables that it owns", v->map.owned_tables, view->owned_tables);
	}
}

static void audit_all(struct auditing *a)
{
	struct kmemblk *h = a->h;
	struct pool *pool = &h->pool;
	uint64_t without = 0;

	if (scan_found_damage(&a->scan))
		found(a, "damaged: %s", a->scan.problem);
	for (uint64_t bit = 0; bit < pool->count; bit++)
		if (bitmap_test(a->scan.named, bit))
			own(a, pool->first + bit, "named");
	lock_all(pool);
	own_free_locked(a);
	compare(a, "pool", "reserved", pool->reserved, a->scan.reserved);
	compare(a, "pool", "tables", pool->tables, a->scan.tables);
	compare(a, "pool", "pages of blocks", pool->blocks, a->scan.used);
	for (uint64_t bit = 0; bit < pool->count; bit++)
		without += !bitmap_test(a->owned, bit);
	compare(a, "pool", "pages without an owner", without, pool->quarantined);
	unlock_all(pool);
	compare_views(a);
}

bool audit(struct kmemblk *h, char *why, size_t size)
{
	struct auditing a = { .h = h, .why = why, .size = size };

	a.owned = bitmap_new(h->pool.count);
	if (a.owned == NULL || scan_open(&a.scan, &h->device, &h->super) != 0)
		found(&a, "out of memory");
	else
		audit_all(&a);
	scan_free(&a.scan);
	free((void *)a.owned);
	return !a.failed;
}
