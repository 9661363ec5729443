/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zones.h - whole zones of free pages, and how they come about.
 *
 * A zone is lent to another process as a whole (lending.c).  Scattered trims leave few zones whole,
 * so when somebody wants one, the emptiest are *drained*: their free pages move to a set of their
 * own, where no writer takes pages from, whatever becomes free in them goes there as well, and the
 * mover (move.c) moves their blocks elsewhere.  A draining zone of which all pages are free, or have
 * no storage, is whole.
 *
 * Draining pages do not count as stored, so that the pages that promises need are sought elsewhere.
 * If that fails, or a writer is out of pages, draining ends and the pages are back at once: nobody
 * waits for the mover.
 */
#ifndef ZONES_H
#define ZONES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "media/layout.h"
#include "pages/pageset.h"

#define ZONE_BYTES ((uint64_t)ZONE_PAGES << LAYOUT_PAGE_SHIFT)

struct pages;

/* In struct pages, covered by its lock. */
struct zones {
	struct pageset stored;	 /* free pages of zones that are being drained: with storage ... */
	struct pageset holes;	 /* ... and without */
	_Atomic uint64_t *flags; /* a zone: it is being drained; set under the lock, read without */
	uint64_t count;		 /* zones that are */
	uint64_t wanted;	 /* zones that borrowers would take now, had they been whole */
	pthread_cond_t work;	 /* the mover waits */
};

int zones_init(struct pages *pages);
void zones_destroy(struct pages *pages);

/* True if the page is in a draining zone.  Without the lock it is a hint. */
bool zones_draining(const struct pages *pages, uint64_t page);

/*
 * All below with pages->lock held.
 */

/* At open: take the zones that borrowers of an earlier server still have.  0 or -errno, message. */
int zones_adopt(struct pages *pages);

/*
 * Take a whole zone, give it storage, zero it, and count it as lent.  Drops the lock meanwhile.  0
 * and its first page; -ENOMEM if none is whole or may be lent; another -errno.
 */
int zones_lend(struct pages *pages, uint64_t *first);

/*
 * Begin to drain: as many of the emptiest zones as are wanted and as there is room for their blocks
 * elsewhere.  Returns how many.
 */
uint64_t zones_drain(struct pages *pages);

/* True if a draining zone still has blocks, or pages that are on their way. */
bool zones_unfinished(const struct pages *pages);

/* End all draining: pages that are free go back to the writers. */
void zones_end(struct pages *pages);

#endif /* ZONES_H */
