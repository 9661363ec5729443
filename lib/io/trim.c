/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trim.c - taking pages away from blocks.
 *
 * Leaf by leaf: clear the entries (each exchange is the linearisation point of its block's trim),
 * flush them all, drain (PM_TRIM_ENTRY), retire the pages that no snapshot has.  Entries found clear are flushed too, for
 * another thread may have cleared them and not drained yet, and what we answer must hold (invariant 8).
 *
 * A leaf that is shared with a snapshot is dropped, if all of it is trimmed, or else copied first.  Where there is no
 * leaf there is nothing, durably: that is looked up with the map's mutex.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "io/before.h"
#include "io/request.h"
#include "io/trim.h"
#include "map/table.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

struct clearing {
	struct kmemblk_volume *v;
	uint64_t block;			/* first */
	uint64_t gate;			/* by which the leaf was found */
	_Atomic uint64_t *entry;	/* the first one's */
	const _Atomic uint64_t *before; /* the predecessor's; NULL: it has no leaf */
	unsigned int n;
	volatile bool
		closed; /* the gate is, or was: nothing was cleared; read after a fault, as the rest */
	volatile unsigned int cleared; /* entries that were not clear before */
	volatile unsigned int pages;   /* of page[] */
	unsigned int unreserved;       /* so many pages need not be reserved any more */
	uint64_t page[LAYOUT_TABLE_ENTRIES];
};

static void clear_one(struct clearing *c, unsigned int i)
{
	_Atomic uint64_t *entry = &c->entry[i];
	const struct map *map = &c->v->map;
	struct before before;
	uint64_t page;

	/* Do not dirty what is clear. */
	if (atomic_load_explicit(entry, memory_order_acquire) == 0)
		return;
	before = before_look(map, c->before, i, c->block + i);
	page = pm_swap(&c->v->h->device.pm, entry, 0);
	if (page == 0)
		return;
	c->cleared = c->cleared + 1;
	page = map_page_of(map, page);
	if (page == MAP_BAD_PAGE || before.page == MAP_BAD_PAGE)
		return;
	/* What the predecessor names is its own (invariant 12). */
	if (page != before.page) {
		c->page[c->pages] = page;
		c->pages = c->pages + 1;
	} else if (before.doomed != NULL) {
		doomed_mark_block(before.doomed, page);
	}
}

static void clear_access(void *opaque)
{
	struct clearing *c = opaque;

	/* In the section: who closes the gate waits for its end (invariant 11). */
	c->closed = map_gate(&c->v->map) != c->gate;
	for (unsigned int i = 0; !c->closed && i < c->n; i++)
		clear_one(c, i);
}

/* Clear and persist, in a section: see acknowledge().  What persisting said; *rc of a fault. */
static int clear_in_section(struct clearing *c, const char *what, int *rc)
{
	struct map *map = &c->v->map;
	struct fault fault;
	int persisted = 0;

	grace_enter();
	if (!guard_run(&map->device->pm, clear_access, c, &fault))
		*rc = fault_fail(map->device, &fault, what, true);
	if (!c->closed)
		persisted = map_persist_guarded(map, c->entry, c->n, PM_TRIM_ENTRY);
	if (persisted != 0)
		note_failed_flush(c->v->h);
	/* In the section, in which this stays the same: a thin volume has reserved nothing for blocks that it shares. */
	c->unreserved = map_is_thin(map) ? c->pages : c->cleared;
	if (c->cleared > 0)
		map_note_empty(map, map_leaf(c->block));
	/* Relaxed: whoever needs them waits for the end of the section. */
	atomic_fetch_sub_explicit(&map->used, c->cleared, memory_order_relaxed);
	atomic_fetch_sub_explicit(&map->owned, c->pages, memory_order_relaxed);
	atomic_fetch_sub_explicit(&c->v->h->pool.blocks, c->pages, memory_order_relaxed);
	grace_leave();
	return persisted;
}

/* Blocks [block, block + n) of a leaf that is owned; -EAGAIN: the gate was closed. */
static int trim_owned(struct kmemblk_volume *v, uint64_t gate, uint64_t leaf, uint64_t block,
		      unsigned int n, const char *what)
{
	uint64_t before = map_leaf_before(&v->map, block);
	struct clearing c;
	int rc = 0, persisted;

	/* Not by an initializer: that would clear the array each time. */
	c.v = v;
	c.block = block;
	c.gate = gate;
	c.entry = &map_table(&v->map, leaf)[block % LAYOUT_TABLE_ENTRIES];
	c.before = before == 0 ? NULL : &map_table(&v->map, before)[block % LAYOUT_TABLE_ENTRIES];
	c.n = n;
	c.closed = false;
	c.cleared = 0;
	c.pages = 0;
	reserve_unmap_begin(&v->h->pool);
	persisted = clear_in_section(&c, what, &rc);
	if (persisted != 0)
		/* The media may still name the pages: they stay out of use (invariant 3). */
		rc = fail_persist(v->h, -persisted);
	else
		cache_retire(&v->h->pool, c.page, c.pages);
	reserve_unmap_end(&v->h->pool, persisted == 0 ? c.unreserved : 0);
	return c.closed ? -EAGAIN : rc;
}

static int drop(struct kmemblk_volume *v, uint64_t block, uint64_t n, const char *what)
{
	unsigned int dropped = 0;
	int rc;

	reserve_unmap_begin(&v->h->pool);
	rc = table_drop(&v->map, &v->h->pool, block, n, what, &dropped);
	reserve_unmap_end(&v->h->pool, dropped);
	return rc;
}

/* Blocks [block, block + *n) of one leaf, or with *n set to more: so many hold nothing.  -EAGAIN: once more. */
static int trim_other(struct kmemblk_volume *v, uint64_t block, uint64_t *n, const char *what)
{
	uint64_t left = map_blocks(&v->map) - block;
	struct table_found found;
	int rc = table_look(&v->map, block, what, &found);

	if (rc != 0)
		return rc;
	if (found.state == TABLE_NONE) {
		uint64_t place = UINT64_C(1) << (LAYOUT_TABLE_SHIFT * found.level);

		*n = place - (block & (place - 1));
		return 0;
	}
	/* A level at a time: below a shared table there may be none, and a trim makes none. */
	if (found.state == TABLE_SHARED && found.level == 1 && block % LAYOUT_TABLE_ENTRIES == 0 &&
	    (*n == LAYOUT_TABLE_ENTRIES || *n == left))
		rc = drop(v, block, *n, what);
	else
		rc = table_make(&v->map, &v->h->pool, block, found.level, what);
	return rc == 0 ? -EAGAIN : rc;
}

static int trim_in_leaf(struct kmemblk_volume *v, uint64_t block, uint64_t *n, const char *what)
{
	int rc;

	do {
		uint64_t gate = map_gate(&v->map);
		uint64_t leaf = map_owned_leaf(&v->map, block, gate);

		rc = leaf != 0 ? trim_owned(v, gate, leaf, block, (unsigned int)*n, what)
			       : trim_other(v, block, n, what);
	} while (rc == -EAGAIN);
	return rc;
}

int trim_blocks(struct kmemblk_volume *v, uint64_t block, uint64_t n, const char *what)
{
	int rc = 0;

	while (rc == 0 && n > 0) {
		uint64_t done = LAYOUT_TABLE_ENTRIES - block % LAYOUT_TABLE_ENTRIES;

		if (done > n)
			done = n;
		rc = trim_in_leaf(v, block, &done, what);
		if (done > n)
			done = n;
		block += done;
		n -= done;
	}
	return rc;
}
