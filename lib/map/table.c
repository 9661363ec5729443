/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table.c - give a volume tables of its own: the first write to a range of blocks makes the table that will name
 * their pages, and the first after a snapshot a copy of the table that the snapshot shares.
 *
 * One table a round, the uppermost that is missing or shared:
 *
 *  1. Look which it is.  A new one is reserved; a copy is counted already.  May wait: nothing is held.
 *  2. Take a page: one of those that are for tables (pages/low.h), or else any.  May wait; still nothing is held.
 *  3. With the map's mutex, look again.
 *  4. Fill the page with zeroes, or with what the shared one has, which never changes; drain.
 *     PM_TABLE_CONTENTS.  Power lost here: the page is free.
 *  5. Publish it: one exchange.  Power lost here: it is there, or not, and says the same.
 *  6. Flush the entry, drain.  PM_TABLE_ENTRY.
 *  7. If all on the way is owned, down to the leaf: let writers see it.  What they publish in it is found again,
 *     since the whole way to it is durable: each of its entries was drained before the mutex was let go of.
 *
 * Steps 4 to 7 are in a section, for the same reason as in write.c: whoever waits for a grace period after a
 * flush failed is shown that.  Nobody waits for a page with the mutex.  Who closes the gate has the mutex, so it is open
 * here, and the predecessor stays the same (invariants 11 and 12).
 *
 * A shared leaf that is trimmed whole is not copied but dropped: with the mutex, in a section, one exchange of the entry
 * above for 0, flush, drain.  PM_TRIM_ENTRY.  Nothing of it is retired, for it is the predecessor's (invariant 12).  Power
 * lost before the drain: the leaf is there, or not.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "map/doomed.h"
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
	unsigned int level;    /* of the last table that is to be made */
	uint64_t page;	       /* taken; 0: none was needed, as it seemed ... */
	bool reserved;	       /* ... and counted */
	struct map_way way;    /* to the uppermost that is not there or not owned */
	uint64_t before;       /* what the predecessor has there */
	struct doomed *doomed; /* that is freed with it; NULL: it is not */
	volatile bool found;   /* way is set; read after a fault, like the rest */
	volatile bool published;
	volatile bool persisted;
	volatile int persist; /* -errno of a flush */
};

static bool is_missing(const struct making *m)
{
	return m->way.page == 0;
}

static bool is_shared(const struct making *m)
{
	return m->way.page != 0 && m->way.page == m->before && m->way.page != MAP_BAD_PAGE;
}

static void look_access(void *opaque)
{
	struct making *m = opaque;

	m->found = false;
	map_walk_owned(m->map, m->block, m->level, &m->way, &m->before);
	m->doomed = is_shared(m) ? map_doomed(m->map) : NULL;
	if (m->doomed != NULL && !doomed_owns(m->doomed, m->way.level, m->way.number, m->way.page))
		m->doomed = NULL;
	/* The way before the word, for who reads both after a fault. */
	atomic_signal_fence(memory_order_release);
	m->found = true;
}

/* Step 4. */
static int fill(struct making *m)
{
	const struct pm *pm = &m->map->device->pm;
	uint8_t *to = pm_page(pm, m->page);
	int rc;

	if (is_shared(m))
		rc = pm_copy(pm, to, pm_page(pm, m->way.page), LAYOUT_PAGE_SIZE, PM_TABLE_CONTENTS);
	else
		rc = pm_zero(pm, to, LAYOUT_PAGE_SIZE, PM_TABLE_CONTENTS);
	if (rc == 0)
		pm_drain(pm, PM_TABLE_CONTENTS);
	return rc;
}

/* Steps 3 to 6. */
static void make_access(void *opaque)
{
	struct making *m = opaque;
	const struct map *map = m->map;
	const struct pm *pm = &map->device->pm;
	uint64_t seen;

	look_access(m);
	/* What was shared may have been dropped by now: that is not counted. */
	if (m->page == 0 || !(is_shared(m) || (is_missing(m) && m->reserved)))
		return;
	m->persist = fill(m);
	if (m->persist != 0)
		return;
	/* With the mutex nobody else changes it. */
	seen = atomic_load_explicit(m->way.entry, memory_order_relaxed);
	m->published = pm_cas(pm, m->way.entry, &seen,
			      map_table_entry(map, m->page, m->way.level, m->way.number));
	if (!m->published)
		return;
	if (m->doomed != NULL)
		doomed_mark_table(m->doomed, m->way.page);
	m->persist = map_persist(map, m->way.entry, 1, PM_TABLE_ENTRY);
	m->persisted = m->persist == 0;
}

/* Step 7, with the mutex.  The predecessor's before the word that says that it is there. */
static void note_owned_leaf(const struct making *m)
{
	struct map *map = m->map;
	uint64_t leaf = map_leaf(m->block);

	/* Where it is 0 and stays so, nothing is stored: it takes no memory then. */
	if (atomic_load_explicit(&map->before[leaf], memory_order_relaxed) != m->before)
		atomic_store_explicit(&map->before[leaf], m->before, memory_order_relaxed);
	/* Release: who finds the leaf here finds its entries in it, and the predecessor's leaf. */
	atomic_store_explicit(&map->leaf[leaf],
			      map_leaf_word(m->way.page, map_gate(map) >> 1, true),
			      memory_order_release);
}

static void count_table(struct making *m, struct pool *pool)
{
	struct map *map = m->map;

	pool_note_table(pool, m->page);
	/* A request may yet be refused, and put nothing into it. */
	if (m->way.level == 1)
		map_note_empty(map, map_leaf(m->block));
	/* Relaxed: they change with the mutex. */
	if (is_missing(m))
		atomic_fetch_add_explicit(&map->tables, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&map->owned_tables, 1, memory_order_relaxed);
}

static int fail_damaged(const struct making *m, const char *what)
{
	return fail(EIO, "%s: %s: the entry of table %llu of level %u is damaged", what,
		    m->map->device->path, (unsigned long long)m->way.number, m->way.level);
}

/* What step 1 to 6 met.  True if the media failed at the page, and another may do. */
static bool judge(struct making *m, struct pool *pool, bool whole, const struct fault *fault,
		  const char *what, int *rc)
{
	bool bad = false;

	if (!whole && !m->published) {
		*rc = fault_fail(m->map->device, fault, what, fault->page != m->page);
		bad = *rc == -EIO && fault->page == m->page;
		if (*rc == -EIO)
			pool_mark_bad(pool, fault->page);
	} else if (m->persist != 0) {
		fail_errno(-m->persist,
			   "persist: %s: now read-only, since it is unknown what is durable",
			   m->map->device->path);
		*rc = -EIO;
	} else if (m->found && (m->way.page == MAP_BAD_PAGE || m->before == MAP_BAD_PAGE)) {
		*rc = fail_damaged(m, what);
	}
	return bad;
}

/* Steps 3 to 7, with the page taken, or without.  *done: all is owned.  The rest as for judge(). */
static bool make(struct making *m, struct pool *pool, const char *what, bool *done, int *rc)
{
	struct map *map = m->map;
	struct fault fault;
	bool whole;

	pthread_mutex_lock(&map->lock);
	grace_enter();
	whole = guard_run(&map->device->pm, make_access, m, &fault);
	if (m->published && !m->persisted && m->persist == 0)
		m->persist = map_persist_guarded(map, m->way.entry, 1, PM_TABLE_ENTRY);
	if (m->persist != 0)
		pool_freeze(pool);
	if (m->published && m->persist == 0)
		count_table(m, pool);
	*done = whole && m->persist == 0 && !m->published && m->way.level == m->level &&
		!is_missing(m) && !is_shared(m) && m->way.page != MAP_BAD_PAGE &&
		m->before != MAP_BAD_PAGE;
	/* A map that is not in use has none. */
	if (*done && m->level == 1 && map->leaf != NULL)
		note_owned_leaf(m);
	grace_leave();
	pthread_mutex_unlock(&map->lock);
	return judge(m, pool, whole, &fault, what, rc);
}

/* Steps 1 and 2.  0, or -errno with message; -EAGAIN after a wait. */
static int take(struct making *m, struct pool *pool, struct reservation *reservation)
{
	struct fault fault;
	bool whole;
	int rc;

	grace_enter();
	whole = guard_run(&m->map->device->pm, look_access, m, &fault);
	grace_leave();
	m->reserved = false;
	m->page = 0;
	if (!whole)
		return fault_fail(m->map->device, &fault, reservation->what, true);
	if (is_shared(m))
		return cache_take_table(pool, reservation->what, &m->page);
	if (!is_missing(m))
		return 0;
	rc = reserve_table(pool, reservation, &m->page);
	if (rc == -EAGAIN)
		reserve_wait(pool, reservation);
	m->reserved = rc == 0;
	return rc;
}

/* One round. */
static int make_one(struct making *m, struct pool *pool, struct reservation *reservation,
		    bool *done)
{
	int rc = take(m, pool, reservation);

	if (rc != 0)
		return rc == -EAGAIN ? 0 : rc;
	m->published = false;
	m->persisted = false;
	m->persist = 0;
	/* What was missing may be shared by now, or the other way round: that costs another round. */
	if (make(m, pool, reservation->what, done, &rc) && reservation->bad++ < BAD_PAGES)
		rc = 0;
	/* What was published counts, also if it is unknown whether that is durable. */
	if (!m->published && m->page != 0)
		pool_put_table(pool, m->page);
	if (m->reserved)
		reserve_end(pool, 1, m->published && is_missing(m));
	return rc;
}

int table_make(struct map *map, struct pool *pool, uint64_t block, unsigned int level,
	       const char *what)
{
	struct reservation reservation = { .what = what };
	struct making m = { .map = map, .block = block, .level = level };
	bool done = false;
	int rc = 0;

	while (rc == 0 && !done)
		rc = make_one(&m, pool, &reservation, &done);
	return rc;
}

/* ---- for who takes pages away --------------------------------------------------------------- */

int table_look(struct map *map, uint64_t block, const char *what, struct table_found *found)
{
	struct making m = { .map = map, .block = block, .level = 1 };
	struct fault fault;
	bool whole;

	pthread_mutex_lock(&map->lock);
	grace_enter();
	whole = guard_run(&map->device->pm, look_access, &m, &fault);
	grace_leave();
	pthread_mutex_unlock(&map->lock);
	if (!whole)
		return fault_fail(map->device, &fault, what, false);
	if (m.way.page == MAP_BAD_PAGE || m.before == MAP_BAD_PAGE)
		return fail_damaged(&m, what);
	found->level = m.way.level;
	found->state = is_missing(&m) ? TABLE_NONE : is_shared(&m) ? TABLE_SHARED : TABLE_OWNED;
	return 0;
}

struct drop {
	struct making m;
	unsigned int count; /* of its blocks, those that had a page */
	uint64_t owned
		[LAYOUT_TABLE_ENTRIES]; /* pages of these that are freed with the predecessor; 0: none */
	volatile bool cleared;		/* read after a fault, like the rest */
	volatile bool persisted;
	volatile int persist;
};

/* The blocks of a leaf that is to be dropped, before the exchange: a fault here has dropped nothing. */
static void look_at_blocks(struct drop *d)
{
	struct doomed *doomed = map_doomed(d->m.map);
	const _Atomic uint64_t *entry = map_table(d->m.map, d->m.way.page);
	uint64_t block = d->m.way.number << LAYOUT_TABLE_SHIFT;

	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++) {
		uint64_t page = map_page_of(d->m.map,
					    atomic_load_explicit(&entry[i], memory_order_relaxed));

		if (page == 0)
			continue;
		d->count++;
		d->owned[i] = doomed != NULL && page != MAP_BAD_PAGE &&
					      doomed_owns(doomed, 0, block + i, page)
				      ? page
				      : 0;
	}
}

/* After the exchange: memory only. */
static void mark_all(struct drop *d)
{
	struct doomed *doomed = map_doomed(d->m.map);

	if (d->m.doomed != NULL)
		doomed_mark_table(d->m.doomed, d->m.way.page);
	for (unsigned int i = 0; doomed != NULL && i < LAYOUT_TABLE_ENTRIES; i++)
		if (d->owned[i] != 0)
			doomed_mark_block(doomed, d->owned[i]);
}

static void drop_access(void *opaque)
{
	struct drop *d = opaque;
	const struct map *map = d->m.map;

	look_access(&d->m);
	if (d->m.way.level != 1 || !is_shared(&d->m))
		return;
	look_at_blocks(d);
	(void)pm_swap(&map->device->pm, d->m.way.entry, 0);
	d->cleared = true;
	mark_all(d);
	d->persist = map_persist(map, d->m.way.entry, 1, PM_TRIM_ENTRY);
	d->persisted = d->persist == 0;
}

int table_drop(struct map *map, struct pool *pool, uint64_t block, uint64_t n, const char *what,
	       unsigned int *dropped)
{
	struct drop d = { .m = { .map = map, .block = block, .level = 1 } };
	struct fault fault;
	bool whole;

	pthread_mutex_lock(&map->lock);
	/* It may have grown since, and have a block that is not to be trimmed. */
	if (n < LAYOUT_TABLE_ENTRIES && block + n < map->record.blocks) {
		pthread_mutex_unlock(&map->lock);
		return 0;
	}
	grace_enter();
	whole = guard_run(&map->device->pm, drop_access, &d, &fault);
	if (d.cleared && !d.persisted && d.persist == 0)
		d.persist = map_persist_guarded(map, d.m.way.entry, 1, PM_TRIM_ENTRY);
	if (d.persist != 0)
		pool_freeze(pool);
	if (d.cleared && d.persist == 0) {
		/* A thin volume has reserved nothing for blocks that it shares. */
		*dropped = (map_is_thin(map) ? 0 : d.count) + 1;
		atomic_fetch_sub_explicit(&map->used, d.count, memory_order_relaxed);
		atomic_fetch_sub_explicit(&map->tables, 1, memory_order_relaxed);
		/* Release: who reads zeroes by it does not find the leaf by an older word. */
		atomic_store_explicit(&map->leaf[map_leaf(block)],
				      map_leaf_word(0, map_gate(map) >> 1, false),
				      memory_order_release);
	}
	grace_leave();
	pthread_mutex_unlock(&map->lock);
	if (d.persist != 0) {
		fail_errno(-d.persist,
			   "persist: %s: now read-only, since it is unknown what is durable",
			   map->device->path);
		return -EIO;
	}
	return whole || d.cleared ? 0 : fault_fail(map->device, &fault, what, true);
}
