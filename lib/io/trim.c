/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trim.c - taking pages away from blocks.
 *
 * Leaf by leaf: clear the entries (each exchange is the linearisation point of its block's trim),
 * flush them all, drain (PM_TRIM_ENTRY), retire the pages.  Entries found clear are flushed too, for another
 * thread may have cleared them and not drained yet, and what we answer must hold (invariant 8).  A range
 * without a leaf holds nothing, durably.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "io/request.h"
#include "io/trim.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

struct clearing {
	struct kmemblk_volume *v;
	_Atomic uint64_t *entry; /* the first one's */
	unsigned int n;
	volatile unsigned int cleared; /* entries that were not clear before; read after a fault */
	volatile unsigned int pages;   /* of page[]; the same */
	uint64_t page[LAYOUT_TABLE_ENTRIES];
};

static void clear_access(void *opaque)
{
	struct clearing *c = opaque;
	for (unsigned int i = 0; i < c->n; i++) {
		_Atomic uint64_t *entry = &c->entry[i];
		uint64_t page;

		/* Do not dirty what is clear. */
		if (atomic_load_explicit(entry, memory_order_acquire) == 0)
			continue;
		page = pm_swap(&c->v->h->device.pm, entry, 0);
		if (page == 0)
			continue;
		c->cleared = c->cleared + 1;
		page = map_page_of(&c->v->map, page);
		if (page != MAP_BAD_PAGE) {
			c->page[c->pages] = page;
			c->pages = c->pages + 1;
		}
	}
}

/* Blocks [block, block + n) of one leaf. */
static int trim_in_leaf(struct kmemblk_volume *v, uint64_t block, unsigned int n, const char *what)
{
	uint64_t leaf = map_leaf_page(&v->map, block);
	struct clearing c;
	int rc = 0, persisted;
	struct fault fault;

	if (leaf == 0)
		return 0;
	c.v = v;
	c.entry = &map_table(&v->map, leaf)[block % LAYOUT_TABLE_ENTRIES];
	c.n = n;
	c.cleared = 0;
	c.pages = 0;
	reserve_unmap_begin(&v->h->pool);
	if (!guard_run(&v->h->device.pm, clear_access, &c, &fault))
		rc = fault_fail(&v->h->device, &fault, what, true);
	/* In a section: see acknowledge(). */
	grace_enter();
	persisted = map_persist_guarded(&v->map, c.entry, n, PM_TRIM_ENTRY);
	if (persisted != 0)
		note_failed_flush(v->h);
	grace_leave();
	if (persisted != 0) {
		/* The media may still name the pages: they stay out of use (invariant 3). */
		rc = fail_persist(v->h, -persisted);
	} else {
		cache_retire(&v->h->pool, c.page, c.pages);
		/* Relaxed: for people. */
		atomic_fetch_sub_explicit(&v->used, c.cleared, memory_order_relaxed);
	}
	reserve_unmap_end(&v->h->pool, persisted == 0 ? c.cleared : 0);
	return rc;
}

int trim_blocks(struct kmemblk_volume *v, uint64_t block, uint64_t n, const char *what)
{
	int rc = 0;

	while (rc == 0 && n > 0) {
		uint64_t in_leaf = LAYOUT_TABLE_ENTRIES - block % LAYOUT_TABLE_ENTRIES;

		if (in_leaf > n)
			in_leaf = n;
		rc = trim_in_leaf(v, block, (unsigned int)in_leaf, what);
		block += in_leaf;
		n -= in_leaf;
	}
	return rc;
}
