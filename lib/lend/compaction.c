/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * compaction.c - make whole zones out of scattered free pages.
 *
 * Scattered trims leave few zones whole.  The mover, a thread, sleeps until somebody wants zones
 * (zones.wanted).  It has the emptiest ones evacuated (struct zones): their free pages move to a set of
 * their own, where no writer takes pages from, and whatever becomes free in them goes there as well.
 * Then it walks the map: a block whose page is in one of them is written anew, unchanged, by the
 * ordinary rules for part of a block (write.c), with a part of no bytes: a free page, copy, drain,
 * compare-and-exchange, retire.  So readers, writers and power failures see nothing of it.  One walk
 * serves all zones that are evacuated together, and there is no table from page to block.  What a snapshot has
 * stays: a copy for the volume would be one page more, and so its zone does not become whole.
 *
 * Pages that were with a writer when it began are published behind the walk's back, so it is repeated
 * until the zones are whole, a few times; what is not whole then goes back.  If reservations find no
 * storage meanwhile, or a writer is out of pages, it ends at once: nobody waits for the mover.
 *
 * It works half of the time and sleeps the other half.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/deadline.h"
#include "base/thread.h"
#include "io/volume.h"
#include "io/write.h"
#include "lend/compaction.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"

#define ZONE_WORDS (ZONE_PAGES / 64u)
#define WALKS_MAX  8
/* Blocks moved between two sleeps. */
#define BURST 64u
/* Until pages that were moved or given back are through their grace period; and between tries. */
#define PAUSE_NS 20000000L

/* ---- which zones ---------------------------------------------------------------------------- */

/* Zones that can become whole, sorted by how many of their pages hold blocks or are on their way. */
struct ranking {
	uint64_t *zone;
	uint64_t count;
};

static bool can_be_whole_locked(const struct pool *pool, uint64_t zone)
{
	uint64_t start = pool_zone_start(pool, zone);

	if (start < pool->first || start < pool->low.end ||
	    start + ZONE_PAGES > pool->first + pool->count || pool->lent.count[zone] > 0 ||
	    pool->zones.tables[zone] > 0 || bitmap_test(pool->zones.flags, zone) ||
	    pool->zones.blocked[zone / 64] >> zone % 64 & 1)
		return false;
	if (!atomic_load_explicit(&pool->any_bad, memory_order_relaxed))
		return true;
	for (uint64_t page = start; page < start + ZONE_PAGES; page++)
		if (bitmap_test(pool->bad, page - pool->first))
			return false;
	return true;
}

/* False without memory. */
static bool rank_locked(const struct pool *pool, struct ranking *ranking)
{
	uint64_t zones = pool_zones(pool);
	uint64_t at[ZONE_PAGES + 2] = { 0 };

	ranking->zone = calloc(zones + 1, sizeof(ranking->zone[0]));
	if (ranking->zone == NULL)
		return false;
	for (uint64_t zone = 0; zone < zones; zone++)
		if (can_be_whole_locked(pool, zone))
			at[ZONE_PAGES - pool_free_in_zone_locked(pool, zone) + 1]++;
	for (unsigned int used = 1; used < ZONE_PAGES + 2; used++)
		at[used] += at[used - 1];
	ranking->count = at[ZONE_PAGES + 1];
	for (uint64_t zone = 0; zone < zones; zone++)
		if (can_be_whole_locked(pool, zone))
			ranking->zone[at[ZONE_PAGES - pool_free_in_zone_locked(pool, zone)]++] =
				zone;
	return true;
}

static void evacuate_locked(struct pool *pool, uint64_t zone)
{
	uint64_t bits[ZONE_WORDS];

	/* The flag first: what becomes free from now on goes to the zone's own sets. */
	bitmap_set(pool->zones.flags, zone);
	pool->zones.count++;
	pool->stored -= pool->resident.count[zone];
	pageset_take_zone(&pool->resident, zone, bits);
	pageset_put_zone(&pool->zones.stored, zone, bits);
	pageset_take_zone(&pool->absent, zone, bits);
	pageset_put_zone(&pool->zones.holes, zone, bits);
}

uint64_t compaction_begin_locked(struct pool *pool)
{
	/* Free pages that remain outside, which the moved blocks and the reserved ones must fit into. */
	uint64_t outside = pool->resident.total + pool->absent.total;
	struct ranking ranking;
	uint64_t begun = 0;

	if (!rank_locked(pool, &ranking))
		return 0;
	for (uint64_t i = 0; i < ranking.count && begun < pool->zones.wanted; i++) {
		unsigned int free = pool_free_in_zone_locked(pool, ranking.zone[i]);

		if (free == 0 || outside < ZONE_PAGES + pool->spare)
			break;
		/* All of the zone's free pages leave, and each of its blocks takes one more. */
		outside -= ZONE_PAGES;
		evacuate_locked(pool, ranking.zone[i]);
		begun++;
	}
	free(ranking.zone);
	return begun;
}

bool compaction_unfinished_locked(const struct pool *pool)
{
	return pool->zones.stored.total + pool->zones.holes.total < pool->zones.count * ZONE_PAGES;
}

/* ---- moving their blocks -------------------------------------------------------------------- */

struct leaf {
	struct kmemblk_volume *v;
	uint64_t block; /* its first */
	unsigned int n;
	volatile unsigned int found;
	uint64_t to_move[LAYOUT_TABLE_ENTRIES];
};

/* Not what a snapshot has: a copy would leave the page where it is. */
static void find_access(void *opaque)
{
	struct leaf *leaf = opaque;
	const struct map *map = &leaf->v->map;
	const _Atomic uint64_t *entry, *entry_before;
	struct map_way way;
	uint64_t before;

	map_walk_owned(map, leaf->block, 1, &way, &before);
	if (way.level != 1 || way.page == 0 || way.page == MAP_BAD_PAGE || way.page == before ||
	    before == MAP_BAD_PAGE)
		return;
	entry = map_table(map, way.page);
	entry_before = before == 0 ? NULL : map_table(map, before);
	for (unsigned int i = 0; i < leaf->n; i++) {
		uint64_t page =
			map_page_of(map, atomic_load_explicit(&entry[i], memory_order_acquire));

		if (page == 0 || page == MAP_BAD_PAGE || !pool_evacuating(&leaf->v->h->pool, page))
			continue;
		if (entry_before != NULL &&
		    page == map_page_of(map, atomic_load_explicit(&entry_before[i],
								  memory_order_relaxed)))
			continue;
		leaf->to_move[leaf->found] = leaf->block + i;
		leaf->found = leaf->found + 1;
	}
}

static void sleep_ns(int64_t ns)
{
	nanosleep(&(struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 },
		  NULL);
}

/* True while there is still something to move, and somebody who wants it. */
static bool go_on(const struct mover *mover)
{
	struct pool *pool = &mover->h->pool;
	bool yes;

	pthread_mutex_lock(&pool->lock);
	yes = pool->zones.count > 0 && pool->zones.wanted > 0 && compaction_unfinished_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	return yes && !atomic_load_explicit(&mover->stop, memory_order_relaxed) &&
	       !atomic_load_explicit(&pool->frozen, memory_order_relaxed);
}

/* Move what one leaf has in those zones.  False to end the walk. */
static bool move_leaf(struct mover *mover, struct leaf *leaf, unsigned int *burst, int64_t *begun)
{
	struct fault fault;
	bool whole;

	leaf->found = 0;
	grace_enter();
	whole = guard_run(&mover->h->device.pm, find_access, leaf, &fault);
	grace_leave();
	/* What cannot be read is left where it is. */
	if (!whole)
		return true;
	for (unsigned int i = 0; i < leaf->found; i++) {
		int rc = write_part(leaf->v, leaf->to_move[i], 0, 0, NULL, true);

		/* A media error leaves this block, and its zone, as they are. */
		if (rc != 0 && rc != -EIO)
			return false;
		if (rc == 0)
			atomic_fetch_add_explicit(&mover->moved, 1, memory_order_relaxed);
		if (++*burst % BURST == 0) {
			if (!go_on(mover))
				return false;
			sleep_ns(now_ns() - *begun);
			*begun = now_ns();
		}
	}
	return true;
}

/* All leaves of a volume, until somebody wants to be alone with it.  False to end the walk. */
static bool walk_volume(struct mover *mover, struct kmemblk_volume *v, unsigned int *burst,
			int64_t *begun)
{
	uint64_t blocks = map_blocks(&v->map);
	struct leaf leaf = { .v = v };

	for (; leaf.block < blocks; leaf.block += LAYOUT_TABLE_ENTRIES) {
		uint64_t left = blocks - leaf.block;

		leaf.n = (unsigned int)(left < LAYOUT_TABLE_ENTRIES ? left : LAYOUT_TABLE_ENTRIES);
		/* Relaxed: who has set it waits, with a lock. */
		if (atomic_load_explicit(&v->leaving, memory_order_relaxed))
			break;
		if (map_may_have_leaf(&v->map, leaf.block) &&
		    !move_leaf(mover, &leaf, burst, begun))
			return false;
	}
	return true;
}

static void walk(struct mover *mover)
{
	unsigned int burst = 0;
	int64_t begun = now_ns();
	struct kmemblk_volume *v;
	bool more = true;

	for (int number = -1; more && (v = volume_visit_next(mover->h, number)) != NULL;) {
		number = (int)v->number;
		more = walk_volume(mover, v, &burst, &begun);
		volume_leave(v);
	}
}

/* Make as many zones whole as are wanted, or as can be. */
static void make_whole(struct mover *mover)
{
	struct pool *pool = &mover->h->pool;
	bool snapshots = volumes_have_snapshots(mover->h);
	unsigned int walks = 0;
	uint64_t begun;

	/* What lies ready for writers lies scattered. */
	cache_empty(pool);
	pthread_mutex_lock(&pool->lock);
	while (pool_spill_locked(pool))
		;
	begun = compaction_begin_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	for (; begun > 0 && walks < WALKS_MAX && go_on(mover); walks++) {
		walk(mover);
		pthread_mutex_lock(&pool->lock);
		pool_hurry_locked(pool);
		pthread_mutex_unlock(&pool->lock);
		sleep_ns(PAUSE_NS);
		cache_empty(pool);
	}
	pthread_mutex_lock(&pool->lock);
	/* Others come first until a view is deleted: what has stayed is a snapshot's, which nobody moves. */
	if (walks == WALKS_MAX && snapshots)
		pool_block_evacuated_locked(pool);
	pool_end_evacuation_locked(pool);
	pthread_mutex_unlock(&pool->lock);
}

static void *run(void *opaque)
{
	struct mover *mover = opaque;
	struct kmemblk *h = mover->h;
	struct pool *pool = &h->pool;

	pthread_mutex_lock(&pool->lock);
	while (!atomic_load_explicit(&mover->stop, memory_order_relaxed)) {
		if (pool->zones.wanted == 0 ||
		    atomic_load_explicit(&pool->frozen, memory_order_relaxed)) {
			pthread_cond_wait(&pool->zones.work, &pool->lock);
			continue;
		}
		pthread_mutex_unlock(&pool->lock);
		make_whole(mover);
		mover->done(mover->opaque);
		/* Time to take them. */
		sleep_ns(PAUSE_NS);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

void compaction_want_locked(struct pool *pool, uint64_t zones)
{
	/* Storage that stays with the device is not lent, and pages that may not be need no company. */
	if (pool->device->holes && !pool->keeper.punch)
		zones = 0;
	if (zones > pool_lendable_locked(pool) / ZONE_PAGES)
		zones = pool_lendable_locked(pool) / ZONE_PAGES;
	pool->zones.wanted = zones;
	if (zones > 0)
		pthread_cond_signal(&pool->zones.work);
}

int mover_start(struct mover *mover)
{
	int rc = thread_start(&mover->thread, 0, run, mover);

	if (rc != 0)
		return thread_fail(rc, "start", mover->h->device.path, "mover");
	mover->running = true;
	return 0;
}

void mover_stop(struct mover *mover)
{
	struct pool *pool = &mover->h->pool;

	if (!mover->running)
		return;
	pthread_mutex_lock(&pool->lock);
	atomic_store_explicit(&mover->stop, true, memory_order_relaxed);
	pthread_cond_signal(&pool->zones.work);
	pthread_mutex_unlock(&pool->lock);
	pthread_join(mover->thread, NULL);
	mover->running = false;
	/* For another start, if this was the end of one that failed. */
	atomic_store_explicit(&mover->stop, false, memory_order_relaxed);
}
