/* SPDX-License-Identifier: BSD-3-Clause */
/* zone.c - lend whole zones.  See zone.h. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "media/claim.h"
#include "pages/lent.h"
#include "pages/storage.h"
#include "pages/zone.h"

#define ZONE_WORDS (ZONE_PAGES / 64u)

/* A zone that is taken out of the sets for a loan, and which of its pages have storage. */
struct taken {
	uint64_t zone;
	uint64_t stored[ZONE_WORDS];
};

static void take_zone_locked(struct pool *pool, struct taken *taken)
{
	uint64_t evacuated[ZONE_WORDS], none[ZONE_WORDS];

	pool->stored -= pool->resident.count[taken->zone];
	pageset_take_zone(&pool->resident, taken->zone, taken->stored);
	pageset_take_zone(&pool->zones.stored, taken->zone, evacuated);
	for (unsigned int i = 0; i < ZONE_WORDS; i++)
		taken->stored[i] |= evacuated[i];
	pageset_take_zone(&pool->absent, taken->zone, none);
	pageset_take_zone(&pool->zones.holes, taken->zone, none);
	pageset_add(&pool->lent, pool_zone_start(pool, taken->zone), ZONE_PAGES);
}

/*
 * Undo it: each page goes where it belongs by now, since its evacuation may have ended meanwhile, and a
 * page may have turned out bad.
 */
static void put_zone_locked(struct pool *pool, const struct taken *taken)
{
	uint64_t start = pool_zone_start(pool, taken->zone);

	pageset_remove(&pool->lent, start, ZONE_PAGES);
	for (unsigned int i = 0; i < ZONE_PAGES; i++) {
		if (taken->stored[i / 64] >> i % 64 & 1) {
			pool->stored++;
			pool_free_locked(pool, start + i, 1);
		} else {
			pool_absent_locked(pool, start + i, 1);
		}
	}
	pthread_cond_broadcast(&pool->ended);
}

/* All of it is free, and none of it has storage that stays with the device whatever happens. */
static bool is_whole_locked(const struct pool *pool, uint64_t zone)
{
	return pool_free_in_zone_locked(pool, zone) == ZONE_PAGES &&
	       (!pool->device->holes || pool->keeper.punch ||
		pool->resident.count[zone] + pool->zones.stored.count[zone] == 0);
}

/*
 * Only zones in which something has become free since they were last found not to be whole are looked
 * at: the cost does not depend on how many there are.
 */
static bool find_whole_locked(struct pool *pool, uint64_t *zone)
{
	struct zones *zones = &pool->zones;

	for (uint64_t word = 0; word < (pool_zones(pool) + 63) / 64; word++)
		while (zones->perhaps[word] != 0) {
			unsigned int bit = (unsigned int)__builtin_ctzll(zones->perhaps[word]);

			*zone = word * 64 + bit;
			if (*zone < pool_zones(pool) && is_whole_locked(pool, *zone))
				return true;
			zones->perhaps[word] &= ~(UINT64_C(1) << bit);
		}
	return false;
}

/* Without the lock: the zone is nobody else's. */
static int make_ready(struct pool *pool, struct taken *taken)
{
	uint64_t first = pool_zone_start(pool, taken->zone), any = 0;
	int rc;

	if (!pool->device->holes)
		return lent_clear(pool, first, ZONE_PAGES);
	for (unsigned int i = 0; i < ZONE_WORDS; i++)
		any |= taken->stored[i];
	rc = any != 0 ? device_punch(pool->device, first << LAYOUT_PAGE_SHIFT, ZONE_BYTES) : 0;
	if (rc == 0)
		memset(taken->stored, 0, sizeof(taken->stored));
	return rc;
}

int zone_lend_locked(struct pool *pool, uint64_t *first)
{
	struct taken taken;
	int rc;

	if (pool_lendable_locked(pool) < ZONE_PAGES)
		return -ENOMEM;
	while (!find_whole_locked(pool, &taken.zone))
		/* What was freshly reclaimed may make one whole. */
		if (!pool_spill_locked(pool))
			return -ENOMEM;
	*first = pool_zone_start(pool, taken.zone);
	take_zone_locked(pool, &taken);
	/* What reservations need is now sought elsewhere. */
	rc = storage_populate_for_locked(pool, pool->reserved);
	if (rc == 0) {
		pthread_mutex_unlock(&pool->lock);
		rc = make_ready(pool, &taken);
		pthread_mutex_lock(&pool->lock);
	}
	if (rc != 0) {
		put_zone_locked(pool, &taken);
	} else if (bitmap_test(pool->zones.flags, taken.zone)) {
		bitmap_clear(pool->zones.flags, taken.zone);
		pool->zones.count--;
	}
	return rc;
}

void zone_return_locked(struct pool *pool, uint64_t first)
{
	uint64_t zone = pool_zone_of(pool, first), run, n;

	while ((n = pageset_first_run(&pool->lent, zone, &run)) > 0) {
		pool->keeper.returned += n;
		if (!pool->device->holes) {
			lent_return_locked(pool, run, n);
			continue;
		}
		pageset_remove(&pool->lent, run, n);
		pool_absent_locked(pool, run, n);
	}
	/* Reservations that wait may fit now, and their storage can be had. */
	pthread_cond_broadcast(&pool->ended);
	pool_freed_locked(pool, 1);
	pool_changed_locked(pool);
}

/* ---- zones that outlived a server ----------------------------------------------------------- */

/* Take the free pages of a zone that somebody has mapped out of the sets. */
static void adopt_locked(struct pool *pool, uint64_t zone)
{
	uint64_t bits[ZONE_WORDS];

	pool->stored -= pool->resident.count[zone];
	pageset_take_zone(&pool->resident, zone, bits);
	pageset_put_zone(&pool->lent, zone, bits);
	pageset_take_zone(&pool->absent, zone, bits);
	pageset_put_zone(&pool->lent, zone, bits);
}

/* Zones [zone, zone + n): halved until each that is locked is found, since most are not. */
static int adopt_range_locked(struct pool *pool, uint64_t zone, uint64_t n)
{
	uint64_t start = pool_zone_start(pool, zone);
	int rc = claim_is_held(pool->device, start << LAYOUT_PAGE_SHIFT,
			       (n * ZONE_PAGES) << LAYOUT_PAGE_SHIFT);

	if (rc <= 0)
		return rc;
	if (n == 1) {
		adopt_locked(pool, zone);
		return 0;
	}
	rc = adopt_range_locked(pool, zone, n / 2);
	return rc == 0 ? adopt_range_locked(pool, zone + n / 2, n - n / 2) : rc;
}

int zone_adopt_locked(struct pool *pool)
{
	/* Not the zone of the superblock, whose lock is our own claim. */
	uint64_t from = pool->resident.base == 0 ? 1 : 0;

	/* What is lent of a device with holes is in files of its own. */
	if (pool->device->holes)
		return 0;
	return pool_zones(pool) > from ? adopt_range_locked(pool, from, pool_zones(pool) - from)
				       : 0;
}

void zone_adopt_file_locked(struct pool *pool, uint64_t first)
{
	uint64_t end = first + ZONE_PAGES;

	if (first < pool->first)
		first = pool->first;
	if (end > pool->first + pool->count)
		end = pool->first + pool->count;
	for (uint64_t page = first; page < end; page++)
		if (pageset_has(&pool->absent, page)) {
			pageset_remove(&pool->absent, page, 1);
			pageset_add(&pool->lent, page, 1);
		}
}
