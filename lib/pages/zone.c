/* SPDX-License-Identifier: BSD-3-Clause */
/* zone.c - lend whole zones.  See zone.h. */
#include "config.h"

#include <errno.h>

#include "media/claim.h"
#include "pages/lent.h"
#include "pages/storage.h"
#include "pages/zone.h"

#define ZONE_WORDS (ZONE_PAGES / 64u)

/* A zone that is taken out of the sets for a loan, and which of its pages had storage. */
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
 * page may have turned out bad.  `allocated`: all of them have storage by now.
 */
static void put_zone_locked(struct pool *pool, const struct taken *taken, bool allocated)
{
	uint64_t start = pool_zone_start(pool, taken->zone);

	pageset_remove(&pool->lent, start, ZONE_PAGES);
	for (unsigned int i = 0; i < ZONE_PAGES; i++) {
		if (allocated || (taken->stored[i / 64] >> i % 64 & 1)) {
			pool->stored++;
			pool_free_locked(pool, start + i, 1);
		} else {
			pool_absent_locked(pool, start + i, 1);
		}
	}
	pthread_cond_broadcast(&pool->ended);
}

static bool find_whole_locked(const struct pool *pool, uint64_t *zone)
{
	for (*zone = 0; *zone < pool_zones(pool); ++*zone)
		if (pool_free_in_zone_locked(pool, *zone) == ZONE_PAGES)
			return true;
	return false;
}

int zone_lend_locked(struct pool *pool, uint64_t *first)
{
	bool allocated = false;
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
		rc = device_allocate(pool->device, *first << LAYOUT_PAGE_SHIFT, ZONE_BYTES);
		allocated = rc == 0;
		if (allocated)
			rc = lent_clear(pool, *first, ZONE_PAGES);
		pthread_mutex_lock(&pool->lock);
	}
	if (rc != 0) {
		put_zone_locked(pool, &taken, allocated);
	} else if (bitmap_test(pool->zones.flags, taken.zone)) {
		bitmap_clear(pool->zones.flags, taken.zone);
		pool->zones.count--;
	}
	return rc;
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

	return pool_zones(pool) > from ? adopt_range_locked(pool, from, pool_zones(pool) - from)
				       : 0;
}
