/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pageset.h - a set of pages, grouped in zones.
 *
 * A bit a page, a count a zone (512 pages, aligned), and two bits a zone that say whether it is
 * partly or wholly in the set, so that a page is found without walking empty zones.  Pages come out
 * of partly used zones first, so that whole zones stay whole, and in ascending runs, so that what
 * is written together lies together.
 *
 * Plain memory without a lock: the owner has one.
 */
#ifndef PAGESET_H
#define PAGESET_H

#include <stdbool.h>
#include <stdint.h>

#define ZONE_PAGES 512u
#define ZONE_SHIFT 9

struct pageset {
	uint64_t base; /* page of bit 0, a multiple of ZONE_PAGES */
	uint64_t zones;
	uint64_t total;	  /* pages in the set */
	uint64_t cursor;  /* zone to take from next */
	uint64_t *bits;	  /* a page */
	uint16_t *count;  /* a zone: its pages in the set */
	uint64_t *partly; /* a zone: 0 < count < ZONE_PAGES */
	uint64_t *wholly; /* a zone: count == ZONE_PAGES */
};

/* An empty set that can hold pages [first, first + count).  0 or -ENOMEM without message. */
int pageset_init(struct pageset *set, uint64_t first, uint64_t count);
void pageset_destroy(struct pageset *set);

/* Put in a run of pages, none of which is in. */
void pageset_add(struct pageset *set, uint64_t first, uint64_t count);

/* Take out a run of pages, all of which are in. */
void pageset_remove(struct pageset *set, uint64_t first, uint64_t count);

/* Take out one run of adjacent pages, at most `most` long; its length, 0 when the set is empty. */
uint64_t pageset_take(struct pageset *set, uint64_t most, uint64_t *first);

/*
 * The same for giving away: out of wholly free zones first, which make the longest runs and leave
 * the writers their partly used ones.
 */
uint64_t pageset_take_back(struct pageset *set, uint64_t most, uint64_t *first);

/*
 * Take out exactly `count` adjacent pages of one zone, the first of which is `shift` modulo `align`
 * (at most ZONE_PAGES, a power of 2).  False if no such run was found: the search looks at a bounded
 * number of partly free zones, then at wholly free ones.
 */
bool pageset_take_aligned(struct pageset *set, uint64_t count, uint64_t align, uint64_t shift,
			  uint64_t *first);

/* Take out all pages of a zone, by its number: a bit each in `bits`; and put them back in. */
void pageset_take_zone(struct pageset *set, uint64_t zone, uint64_t bits[ZONE_PAGES / 64]);
void pageset_put_zone(struct pageset *set, uint64_t zone, const uint64_t bits[ZONE_PAGES / 64]);

/* Look for the first run of a zone, by its number, and leave it in: its length, 0 if none. */
uint64_t pageset_first_run(const struct pageset *set, uint64_t zone, uint64_t *first);

bool pageset_has(const struct pageset *set, uint64_t page);

/* True if all pages of the run are in; it may reach beyond what the set can hold. */
bool pageset_has_run(const struct pageset *set, uint64_t first, uint64_t count);

#endif /* PAGESET_H */
