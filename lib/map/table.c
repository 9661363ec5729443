/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table.c - the first write to a range of blocks makes the table that will name their pages.
 *
 * One table a round, the uppermost that is missing:
 *
 *  1. Reserve a page.  May wait: nothing is held.
 *  2. Take it: one of those that are for tables (pages/low.h), or else any.  May wait; still nothing is held.
 *  3. With the map's mutex, find the uppermost place on the way that is empty.
 *  4. Fill the page with zeroes, drain.  PM_TABLE_CONTENTS.  Power lost here: the page is free.
 *  5. Publish it: one exchange.  Power lost here: the table is there, or not; it holds nothing.
 *  6. Flush the entry, drain.  PM_TABLE_ENTRY.
 *  7. If it is the leaf: let writers see it.  What they publish in it is found again, since the whole
 *     way to it is durable.
 *
 * Steps 4 to 7 are in a section, for the same reason as in write.c: whoever waits for a grace period after a
 * flush failed is shown that.  Nobody waits for a page with the mutex.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "map/table.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

/* Free pages whose media may fail before a request gives up. */
#define BAD_PAGES 3u

struct making {
	struct map *map;
	uint64_t block;
	uint64_t page;	     /* taken */
	struct map_way way;  /* to where it belongs */
	volatile bool found; /* way is set; read after a fault, like the rest */
	volatile bool published;
	volatile bool persisted;
	volatile int persist; /* -errno of a flush */
};

/* Steps 3 to 6. */
static void make_access(void *opaque)
{
	struct making *m = opaque;
	const struct map *map = m->map;
	const struct pm *pm = &map->device->pm;
	uint64_t empty = 0;

	map_walk(map, m->block, &m->way);
	/* The way before the word, for who reads both after a fault. */
	atomic_signal_fence(memory_order_release);
	m->found = true;
	if (m->way.page != 0)
		return;
	m->persist = pm_zero(pm, pm_page(pm, m->page), LAYOUT_PAGE_SIZE, PM_TABLE_CONTENTS);
	if (m->persist != 0)
		return;
	pm_drain(pm, PM_TABLE_CONTENTS);
	/* With the mutex nobody else makes one here. */
	m->published = pm_cas(pm, m->way.entry, &empty,
			      map_table_entry(map, m->page, m->way.level, m->way.number));
	if (!m->published)
		return;
	m->persist = map_persist(map, m->way.entry, 1, PM_TABLE_ENTRY);
	m->persisted = m->persist == 0;
}

/* Steps 3 to 7, with the page taken.  True if the media failed at it, and another may do. */
static bool make(struct making *m, struct pool *pool, const char *what, int *rc)
{
	struct map *map = m->map;
	struct fault fault;
	bool whole, bad = false;

	pthread_mutex_lock(&map->lock);
	grace_enter();
	whole = guard_run(&map->device->pm, make_access, m, &fault);
	if (m->published && !m->persisted && m->persist == 0)
		m->persist = map_persist_guarded(map, m->way.entry, 1, PM_TABLE_ENTRY);
	if (m->persist != 0)
		pool_freeze(pool);
	grace_leave();
	if (m->published && m->persist == 0) {
		pool_note_table(pool, m->page);
		m->way.page = m->way.level == 1 ? m->page : 0;
	}
	if (m->found && m->way.page != 0 && m->way.page != MAP_BAD_PAGE)
		/* Release: who finds the leaf here finds its zeroes in it. */
		atomic_store_explicit(&map->leaf[map_leaf(m->block)], m->way.page,
				      memory_order_release);
	pthread_mutex_unlock(&map->lock);
	if (!whole && !m->published) {
		*rc = fault_fail(map->device, &fault, what, fault.page != m->page);
		bad = *rc == -EIO && fault.page == m->page;
		if (*rc == -EIO)
			pool_mark_bad(pool, fault.page);
	} else if (m->persist != 0) {
		*rc = fail_errno(-m->persist,
				 "persist: %s: now read-only, since it is unknown what is durable",
				 map->device->path);
		*rc = -EIO;
	} else if (m->way.page == MAP_BAD_PAGE) {
		*rc = fail(EIO, "%s: %s: the entry of table %llu of level %u is damaged", what,
			   map->device->path, (unsigned long long)m->way.number, m->way.level);
	}
	return bad;
}

/* One round. */
static int make_one(struct map *map, struct pool *pool, uint64_t block, const char *what,
		    struct reservation *reservation)
{
	struct making m = { .map = map, .block = block };
	int rc;

	rc = reserve_table(pool, reservation, &m.page);
	if (rc == -EAGAIN) {
		reserve_wait(pool, reservation);
		return 0;
	}
	if (rc != 0)
		return rc;
	if (make(&m, pool, what, &rc) && reservation->bad++ < BAD_PAGES)
		rc = 0;
	/* What was published counts, also if it is unknown whether that is durable. */
	if (!m.published)
		pool_put_table(pool, m.page);
	reserve_end(pool, 1, m.published);
	return rc;
}

int table_make(struct map *map, struct pool *pool, uint64_t block, const char *what)
{
	struct reservation reservation = { .what = what };
	int rc = 0;

	while (rc == 0 &&
	       atomic_load_explicit(&map->leaf[map_leaf(block)], memory_order_acquire) == 0)
		rc = make_one(map, pool, block, what, &reservation);
	return rc;
}
