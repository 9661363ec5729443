/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trim.c - taking pages away from blocks.
 *
 * Leaf by leaf: clear the entries (each exchange is the linearisation point of its block's trim),
 * flush them all, drain (PM_TRIM_ENTRY), lower the leaf's count, retire the pages.  Entries found
 * clear are flushed too, for another thread may have cleared them and not drained yet, and what we
 * answer must hold (invariant 8).  A leaf whose count is 0 is durably clear already.
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
	struct kmemblk *h;
	uint64_t block;
	unsigned int n;
	volatile unsigned int cleared; /* entries that were not clear before; read after a fault */
	volatile unsigned int pages;   /* of page[]; the same */
	uint64_t page[LAYOUT_LEAF_ENTRIES];
};

static void clear_access(void *opaque)
{
	struct clearing *c = opaque;
	struct index *index = &c->h->index;

	for (unsigned int i = 0; i < c->n; i++) {
		_Atomic uint64_t *entry = &index->entries[c->block + i];
		uint64_t page;

		/* Do not dirty what is clear. */
		if (atomic_load_explicit(entry, memory_order_acquire) == 0)
			continue;
		page = pm_swap(&c->h->device.pm, entry, 0);
		if (page == 0)
			continue;
		c->cleared = c->cleared + 1;
		page = index_page_of(index, page);
		if (page != INDEX_BAD_PAGE) {
			c->page[c->pages] = page;
			c->pages = c->pages + 1;
		}
	}
}

/* Blocks [block, block + n) of one leaf. */
static int trim_in_leaf(struct kmemblk *h, uint64_t block, unsigned int n, const char *what)
{
	uint64_t leaf = index_leaf(block);
	struct clearing c;
	int rc = 0, persisted;
	struct fault fault;

	if (index_leaf_empty(&h->index, leaf))
		return 0;
	c.h = h;
	c.block = block;
	c.n = n;
	c.cleared = 0;
	c.pages = 0;
	reserve_unmap_begin(&h->pool);
	if (!guard_run(&h->device.pm, clear_access, &c, &fault))
		rc = fault_fail(&h->device, &fault, what, true);
	/* In a section: see acknowledge(). */
	grace_enter();
	persisted = index_persist_guarded(&h->index, block, n, PM_TRIM_ENTRY);
	if (persisted != 0)
		note_failed_flush(h);
	grace_leave();
	if (persisted != 0) {
		/* The media may still name the pages: they stay out of use (invariant 3). */
		rc = fail_persist(h, -persisted);
	} else {
		index_lower(&h->index, leaf, c.cleared);
		cache_retire(&h->pool, c.page, c.pages);
	}
	reserve_unmap_end(&h->pool, persisted == 0 ? c.cleared : 0);
	return rc;
}

int trim_blocks(struct kmemblk *h, uint64_t block, uint64_t n, const char *what)
{
	int rc = 0;

	while (rc == 0 && n > 0) {
		uint64_t in_leaf = LAYOUT_LEAF_ENTRIES - block % LAYOUT_LEAF_ENTRIES;

		if (in_leaf > n)
			in_leaf = n;
		rc = trim_in_leaf(h, block, (unsigned int)in_leaf, what);
		block += in_leaf;
		n -= in_leaf;
	}
	return rc;
}
