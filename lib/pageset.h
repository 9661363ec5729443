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

/* Take out one run of adjacent pages, at most `most` long; its length, 0 when the set is empty. */
uint64_t pageset_take(struct pageset *set, uint64_t most, uint64_t *first);

bool pageset_has(const struct pageset *set, uint64_t page);

#endif /* PAGESET_H */
