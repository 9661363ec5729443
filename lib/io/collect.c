/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * collect.c - give up leaves in which no block is left.
 *
 * A trim leaves the leaf where it is, for it will mostly be written to again.  But who writes here and trims there, all
 * over a volume that is larger than the device, has a leaf for each place in the end, and no page for a block.  So
 * before a request is refused, those leaves are given up in which nothing may be left: a bit a leaf says so, set
 * where one is made or trimmed; and after an open all are looked at once, if the scan has found one.
 *
 *  1. With the map's mutex, close the gate, and wait for a grace period: nobody changes an entry (invariants 11 and 12).
 *  2. In a section: exchange the entry that names the leaf for 0, if all of the leaf is 0.  Power lost here: the leaf is
 *     there, or not, and says the same.
 *  3. Flush that entry, drain.  PM_TRIM_ENTRY: before the page is reused (invariant 3).
 *  4. Open the gate.  It is another epoch: nobody finds the leaf any more by what memory has.
 *  5. Retire the leaf, for who has found it before may still read it.
 *
 * A leaf that is shared with a snapshot is the snapshot's, and stays.  So do the tables above: they are one in 512.
 */
#include "config.h"

#include "io/collect.h"
#include "io/request.h"
#include "io/volume.h"
#include "map/directory.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

/* Leaves that are given up while the gate is closed once: writers wait for so long. */
#define LEAVES 64u

struct collecting {
	struct kmemblk_volume *v;
	unsigned int count; /* of leaf[] */
	uint64_t leaf[LEAVES];
	/* Read after a fault: */
	volatile unsigned int cleared; /* of entry[] and page[] */
	volatile int persist;	       /* -errno of a flush */
	_Atomic uint64_t *entry[LEAVES];
	uint64_t page[LEAVES];
};

static bool is_empty(const struct map *map, uint64_t leaf)
{
	const _Atomic uint64_t *entry = map_table(map, leaf);

	/* Relaxed: the grace period orders all that was stored before. */
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++)
		if (atomic_load_explicit(&entry[i], memory_order_relaxed) != 0)
			return false;
	return true;
}

/* The entry that names a leaf, if it is owned and empty; else NULL. */
static _Atomic uint64_t *find_empty(const struct map *map, uint64_t leaf, uint64_t *page)
{
	struct map_way way;
	uint64_t before;

	map_walk_owned(map, leaf << LAYOUT_TABLE_SHIFT, 1, &way, &before);
	if (way.level != 1 || way.page == 0 || way.page == MAP_BAD_PAGE || way.page == before ||
	    before == MAP_BAD_PAGE || !is_empty(map, way.page))
		return NULL;
	*page = way.page;
	return way.entry;
}

/* Step 2. */
static void clear_access(void *opaque)
{
	struct collecting *c = opaque;
	const struct map *map = &c->v->map;

	for (unsigned int i = 0; i < c->count; i++) {
		unsigned int n = c->cleared;

		c->entry[n] = find_empty(map, c->leaf[i], &c->page[n]);
		if (c->entry[n] == NULL)
			continue;
		(void)pm_swap(&map->device->pm, c->entry[n], 0);
		c->cleared = n + 1;
	}
}

/* Steps 1 to 4. */
static void clear(struct collecting *c)
{
	struct kmemblk *h = c->v->h;
	struct map *map = &c->v->map;
	struct fault fault;

	c->cleared = 0;
	c->persist = 0;
	pthread_mutex_lock(&map->lock);
	map_close_gate(map);
	grace_wait();
	grace_enter();
	/* What could not be looked at stays; who reads it is told of the fault. */
	(void)guard_run(&map->device->pm, clear_access, c, &fault);
	for (unsigned int i = 0; c->persist == 0 && i < c->cleared; i++)
		c->persist = map_persist_guarded(map, c->entry[i], 1, PM_TRIM_ENTRY);
	if (c->persist != 0)
		note_failed_flush(h);
	/* Relaxed: they change with the mutex. */
	atomic_fetch_sub_explicit(&map->tables, c->cleared, memory_order_relaxed);
	atomic_fetch_sub_explicit(&map->owned_tables, c->cleared, memory_order_relaxed);
	grace_leave();
	map_open_gate(map);
	pthread_mutex_unlock(&map->lock);
}

/* All steps, for the leaves that were found. */
static uint64_t give_up(struct collecting *c)
{
	struct pool *pool = &c->v->h->pool;
	uint64_t given;

	if (c->count == 0)
		return 0;
	reserve_unmap_begin(pool);
	clear(c);
	/* After a failure the media may still name them: they stay out of use. */
	given = c->persist == 0 ? c->cleared : 0;
	for (uint64_t i = 0; i < given; i++)
		pool_forget_table(pool, c->page[i]);
	cache_retire(pool, c->page, (unsigned int)given);
	reserve_unmap_end(pool, given);
	/* Release: see collect_count(). */
	atomic_fetch_add_explicit(&c->v->h->collected, given, memory_order_release);
	c->count = 0;
	return given;
}

struct look {
	const struct map *map;
	uint64_t leaf;
	volatile bool empty; /* read after a fault */
};

static void look_access(void *opaque)
{
	struct look *look = opaque;
	uint64_t page;

	look->empty = find_empty(look->map, look->leaf, &page) != NULL;
}

/* True if it is worth closing the gate: most that were trimmed have blocks yet. */
static bool looks_empty(const struct map *map, uint64_t leaf)
{
	struct look look = { .map = map, .leaf = leaf };
	struct fault fault;

	grace_enter();
	(void)guard_run(&map->device->pm, look_access, &look, &fault);
	grace_leave();
	return look.empty;
}

static uint64_t collect_volume(struct kmemblk_volume *v)
{
	struct collecting c = { .v = v };
	uint64_t leaf = 0, given = 0;

	if (!map_may_have_empty(&v->map) || volume_use_locked(v) != 0)
		return 0;
	while (map_next_empty(&v->map, &leaf)) {
		if (looks_empty(&v->map, leaf))
			c.leaf[c.count++] = leaf;
		leaf++;
		if (c.count == LEAVES)
			given += give_up(&c);
	}
	given += give_up(&c);
	volume_unuse_locked(v);
	return given;
}

uint64_t collect_leaves_locked(struct kmemblk *h)
{
	uint64_t given = 0;

	for (unsigned int i = 0; i < directory_size(&h->super); i++)
		if (h->volumes[i] != NULL && !h->volumes[i]->map.is_snapshot)
			given += collect_volume(h->volumes[i]);
	return given;
}

bool collect_for(struct kmemblk *h, uint64_t seen)
{
	pthread_mutex_lock(&h->changes_lock);
	pthread_mutex_lock(&h->volumes_lock);
	/* Who has waited for another one to do it need not do it once more. */
	if (collect_count(h) == seen)
		(void)collect_leaves_locked(h);
	pthread_mutex_unlock(&h->volumes_lock);
	pthread_mutex_unlock(&h->changes_lock);
	return collect_count(h) != seen;
}
