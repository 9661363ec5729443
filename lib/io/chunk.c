/* SPDX-License-Identifier: BSD-3-Clause */
/* chunk.c - what is seldom done with blocks that are written together: first writes, faults, waits.  See write.c. */
#include "config.h"

#include <errno.h>

#include "io/chunk.h"
#include "io/request.h"
#include "pages/reserve.h"

/* Free pages whose media may fail before a request gives up. */
#define BAD_PAGES 3u

enum exchanged chunk_exchange_first(struct chunk *c, unsigned int i, uint64_t entry, uint64_t *seen)
{
	if (c->reserved == c->committed) {
		/* Trimmed or shared since we looked.  Pages are held, so there must be no waiting here. */
		if (reserve_blocks(&c->h->pool, 1, c->reservation) != 0)
			return UNRESERVED;
		c->reserved++;
	}
	if (!pm_cas(&c->h->device.pm, &c->entry[i], seen, entry))
		return CHANGED;
	c->committed = c->committed + 1;
	return EXCHANGED;
}

/* A guess, which asks less than before_look(): the exchange decides. */
unsigned int chunk_count_shared(const struct chunk *c, unsigned int count)
{
	unsigned int shared = 0;

	for (unsigned int i = 0; i < count; i++) {
		/* Relaxed: only compared. */
		uint64_t before = atomic_load_explicit(&c->before[i], memory_order_relaxed);
		uint64_t seen = atomic_load_explicit(&c->entry[i], memory_order_relaxed);

		shared += before_keeps(map_page_of(&c->v->map, before),
				       map_page_of(&c->v->map, seen));
	}
	return shared;
}

void chunk_count_new(struct chunk *c)
{
	struct map *map = &c->v->map;
	/* In the section, in which this stays the same: a thin volume takes a reservation for what it shared, too. */
	uint64_t mapped = c->committed - (map_is_thin(map) ? c->left : 0);

	/* Relaxed: whoever needs them waits for the end of the section. */
	atomic_fetch_add_explicit(&map->used, mapped, memory_order_relaxed);
	atomic_fetch_add_explicit(&map->owned, mapped + c->left, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->h->pool.blocks, mapped + c->left, memory_order_relaxed);
}

static bool has_taken(const struct chunk *c, uint64_t page)
{
	for (unsigned int i = 0; i < c->count; i++)
		if (c->page[i] == page)
			return true;
	return false;
}

int chunk_meet_fault(struct chunk *c, const struct fault *fault)
{
	struct kmemblk *h = c->h;
	bool taken = has_taken(c, fault->page);
	const char *what = c->reservation->what;
	int rc;

	/* What is stored to is a page that was taken, or the leaf; else it was the block's old page. */
	if (taken || pm_page(&h->device.pm, fault->page) ==
			     (uint8_t *)((uintptr_t)c->entry & ~(uintptr_t)(LAYOUT_PAGE_SIZE - 1)))
		rc = fault_fail(&h->device, fault, what, !taken);
	else
		rc = fault_fail_load(&h->device, fault, what, c->block);
	/* Only a page that is bad is kept from use: where there is no room now, there may be later. */
	if (rc != -EIO)
		return rc;
	pool_mark_bad(&h->pool, fault->page);
	return c->published == 0 && taken && c->reservation->bad++ < BAD_PAGES ? 0 : rc;
}

int chunk_finish_rest(struct chunk *c, int rc)
{
	struct pool *pool = &c->h->pool;

	/* First, since retiring may wait. */
	if (c->published < c->count)
		pool_put(pool, c->page + c->published, c->count - c->published);
	if (c->persist != 0)
		rc = fail_persist(c->h, -c->persist);
	else if (c->retired < c->replaced)
		cache_retire(pool, c->old + c->retired, c->replaced - c->retired);
	reserve_end(pool, c->reserved, c->committed);
	if (rc == -EAGAIN) {
		reserve_wait(pool, c->reservation);
		rc = 0;
	}
	return rc;
}
