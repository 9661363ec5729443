/* SPDX-License-Identifier: BSD-3-Clause */
/* zones.c - see zones.h. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pages/pages.h"

#define ZONE_WORDS (ZONE_PAGES / 64u)

/* Four sets can hold a zone's free pages; all number zones alike. */
static uint64_t zone_count(const struct pages *pages)
{
	return pages->resident.zones;
}

static uint64_t zone_of(const struct pages *pages, uint64_t page)
{
	return (page - pages->resident.base) >> ZONE_SHIFT;
}

static uint64_t zone_start(const struct pages *pages, uint64_t zone)
{
	return pages->resident.base + (zone << ZONE_SHIFT);
}

int zones_init(struct pages *pages)
{
	struct zones *zones = &pages->zones;
	int rc = pageset_init(&zones->stored, pages->first, pages->count);

	pthread_cond_init(&zones->work, NULL);
	if (rc == 0)
		rc = pageset_init(&zones->holes, pages->first, pages->count);
	if (rc == 0) {
		zones->flags = bitmap_new(zones->stored.zones);
		rc = zones->flags == NULL ? -ENOMEM : 0;
	}
	return rc;
}

void zones_destroy(struct pages *pages)
{
	pageset_destroy(&pages->zones.stored);
	pageset_destroy(&pages->zones.holes);
	free((void *)pages->zones.flags);
	pthread_cond_destroy(&pages->zones.work);
}

bool zones_draining(const struct pages *pages, uint64_t page)
{
	return bitmap_test(pages->zones.flags, zone_of(pages, page));
}

/* ---- whole zones ---------------------------------------------------------------------------- */

static unsigned int free_in(const struct pages *pages, uint64_t zone)
{
	return (unsigned int)pages->resident.count[zone] + pages->absent.count[zone] +
	       pages->zones.stored.count[zone] + pages->zones.holes.count[zone];
}

/* A zone that is taken out of the sets for a loan, and which of its pages had storage. */
struct taken {
	uint64_t zone;
	uint64_t stored[ZONE_WORDS];
};

static void take_zone(struct pages *pages, struct taken *taken)
{
	uint64_t draining[ZONE_WORDS], none[ZONE_WORDS];

	pages->stored -= pages->resident.count[taken->zone];
	pageset_take_zone(&pages->resident, taken->zone, taken->stored);
	pageset_take_zone(&pages->zones.stored, taken->zone, draining);
	for (unsigned int i = 0; i < ZONE_WORDS; i++)
		taken->stored[i] |= draining[i];
	pageset_take_zone(&pages->absent, taken->zone, none);
	pageset_take_zone(&pages->zones.holes, taken->zone, none);
	pageset_add(&pages->lent, zone_start(pages, taken->zone), ZONE_PAGES);
}

/*
 * Undo it: each page goes where it belongs by now, since draining may have ended meanwhile, and a
 * page may have turned out bad.  `allocated`: all of them have storage by now.
 */
static void put_zone(struct pages *pages, const struct taken *taken, bool allocated)
{
	uint64_t start = zone_start(pages, taken->zone);

	pageset_remove(&pages->lent, start, ZONE_PAGES);
	for (unsigned int i = 0; i < ZONE_PAGES; i++) {
		if (allocated || (taken->stored[i / 64] >> i % 64 & 1)) {
			pages->stored++;
			pages_free_run(pages, start + i, 1);
		} else {
			pages_absent_run(pages, start + i, 1);
		}
	}
	pthread_cond_broadcast(&pages->settled);
}

static bool find_whole(const struct pages *pages, uint64_t *zone)
{
	for (*zone = 0; *zone < zone_count(pages); ++*zone)
		if (free_in(pages, *zone) == ZONE_PAGES)
			return true;
	return false;
}

int zones_lend(struct pages *pages, uint64_t *first)
{
	bool allocated = false;
	struct taken taken;
	int rc;

	if (memory_lendable(pages) < ZONE_PAGES)
		return -ENOMEM;
	while (!find_whole(pages, &taken.zone))
		/* What was freshly released may make one whole. */
		if (!pages_spill(pages))
			return -ENOMEM;
	*first = zone_start(pages, taken.zone);
	take_zone(pages, &taken);
	/* What promises need is now sought elsewhere. */
	rc = pages_populate_for(pages, pages->admitted);
	if (rc == 0) {
		pthread_mutex_unlock(&pages->lock);
		rc = device_allocate(pages->device, *first << LAYOUT_PAGE_SHIFT, ZONE_BYTES);
		allocated = rc == 0;
		if (allocated)
			rc = memory_clear(pages, *first, ZONE_PAGES);
		pthread_mutex_lock(&pages->lock);
	}
	if (rc != 0) {
		put_zone(pages, &taken, allocated);
	} else if (bitmap_test(pages->zones.flags, taken.zone)) {
		bitmap_clear(pages->zones.flags, taken.zone);
		pages->zones.count--;
	}
	return rc;
}

/* ---- draining ------------------------------------------------------------------------------- */

/* Zones that can become whole, sorted by how many of their pages hold blocks or are on their way. */
struct ranking {
	uint64_t *zone;
	uint64_t count;
};

static bool can_be_whole(const struct pages *pages, uint64_t zone)
{
	uint64_t start = zone_start(pages, zone);

	if (start < pages->first || start + ZONE_PAGES > pages->first + pages->count ||
	    pages->lent.count[zone] > 0 || bitmap_test(pages->zones.flags, zone))
		return false;
	if (!atomic_load_explicit(&pages->any_bad, memory_order_relaxed))
		return true;
	for (uint64_t page = start; page < start + ZONE_PAGES; page++)
		if (bitmap_test(pages->bad, page - pages->first))
			return false;
	return true;
}

/* False without memory. */
static bool rank(const struct pages *pages, struct ranking *ranking)
{
	uint64_t zones = zone_count(pages);
	uint64_t at[ZONE_PAGES + 2] = { 0 };

	ranking->zone = calloc(zones + 1, sizeof(ranking->zone[0]));
	if (ranking->zone == NULL)
		return false;
	for (uint64_t zone = 0; zone < zones; zone++)
		if (can_be_whole(pages, zone))
			at[ZONE_PAGES - free_in(pages, zone) + 1]++;
	for (unsigned int used = 1; used < ZONE_PAGES + 2; used++)
		at[used] += at[used - 1];
	ranking->count = at[ZONE_PAGES + 1];
	for (uint64_t zone = 0; zone < zones; zone++)
		if (can_be_whole(pages, zone))
			ranking->zone[at[ZONE_PAGES - free_in(pages, zone)]++] = zone;
	return true;
}

static void begin_drain(struct pages *pages, uint64_t zone)
{
	uint64_t bits[ZONE_WORDS];

	/* The flag first: what becomes free from now on goes to the zone's own sets. */
	bitmap_set(pages->zones.flags, zone);
	pages->zones.count++;
	pages->stored -= pages->resident.count[zone];
	pageset_take_zone(&pages->resident, zone, bits);
	pageset_put_zone(&pages->zones.stored, zone, bits);
	pageset_take_zone(&pages->absent, zone, bits);
	pageset_put_zone(&pages->zones.holes, zone, bits);
}

uint64_t zones_drain(struct pages *pages)
{
	/* Free pages that remain outside, which the moved blocks and the promises must fit into. */
	uint64_t outside = pages->resident.total + pages->absent.total;
	struct ranking ranking;
	uint64_t begun = 0;

	if (!rank(pages, &ranking))
		return 0;
	for (uint64_t i = 0; i < ranking.count && begun < pages->zones.wanted; i++) {
		unsigned int free = free_in(pages, ranking.zone[i]);

		if (free == 0 || outside < ZONE_PAGES + pages->spare)
			break;
		/* All of the zone's free pages leave, and each of its blocks takes one more. */
		outside -= ZONE_PAGES;
		begin_drain(pages, ranking.zone[i]);
		begun++;
	}
	free(ranking.zone);
	return begun;
}

bool zones_unfinished(const struct pages *pages)
{
	return pages->zones.stored.total + pages->zones.holes.total <
	       pages->zones.count * ZONE_PAGES;
}

void zones_end(struct pages *pages)
{
	struct zones *zones = &pages->zones;
	uint64_t first, n;

	for (uint64_t zone = 0; zones->count > 0 && zone < zone_count(pages); zone++)
		if (bitmap_test(zones->flags, zone)) {
			bitmap_clear(zones->flags, zone);
			zones->count--;
		}
	while ((n = pageset_take(&zones->stored, ZONE_PAGES, &first)) > 0) {
		pages->stored += n;
		pages_free_run(pages, first, n);
	}
	while ((n = pageset_take(&zones->holes, ZONE_PAGES, &first)) > 0)
		pages_absent_run(pages, first, n);
}

/* ---- zones that outlived a server ----------------------------------------------------------- */

/* Take the free pages of a zone that somebody has mapped out of the sets. */
static void adopt(struct pages *pages, uint64_t zone)
{
	uint64_t bits[ZONE_WORDS];

	pages->stored -= pages->resident.count[zone];
	pageset_take_zone(&pages->resident, zone, bits);
	pageset_put_zone(&pages->lent, zone, bits);
	pageset_take_zone(&pages->absent, zone, bits);
	pageset_put_zone(&pages->lent, zone, bits);
}

/* Zones [zone, zone + n): halved until each that is locked is found, since most are not. */
static int adopt_range(struct pages *pages, uint64_t zone, uint64_t n)
{
	uint64_t start = zone_start(pages, zone);
	int rc = claim_locked(pages->device, start << LAYOUT_PAGE_SHIFT,
			      (n * ZONE_PAGES) << LAYOUT_PAGE_SHIFT);

	if (rc <= 0)
		return rc;
	if (n == 1) {
		adopt(pages, zone);
		return 0;
	}
	rc = adopt_range(pages, zone, n / 2);
	return rc == 0 ? adopt_range(pages, zone + n / 2, n - n / 2) : rc;
}

int zones_adopt(struct pages *pages)
{
	/* Not the zone of the superblock, whose lock is our own claim. */
	uint64_t from = pages->resident.base == 0 ? 1 : 0;

	return zone_count(pages) > from ? adopt_range(pages, from, zone_count(pages) - from) : 0;
}
