/* SPDX-License-Identifier: BSD-3-Clause */
/* reserve.h - reserve pages for blocks.  See reserve.c. */
#ifndef RESERVE_H
#define RESERVE_H

#include <stdatomic.h>
#include <stdint.h>

#include "pages/pool.h"
#include "pages/recall.h"

/* What a request knows of its chances; one for all its tries. */
struct reservation {
	const char *what; /* "write" or "zero", for messages */
	/* What reserve_changes() said before the entries were looked at. */
	uint64_t changes;
	struct recall recall;
	unsigned int bad; /* free pages that the media failed at */
};

/*
 * Reserve pages for `n` blocks that have none: 0 for all of them, else none.  Never waits.  -EAGAIN:
 * it may be different soon, since others are under way, or memory has been recalled; give back
 * what pages are held, reserve_wait(), and look at the entries again.  -ENOSPC or another
 * -errno, with message: it is final.  If a reservation has ended since the entries were looked at,
 * its owner may have mapped these very blocks, and it is not final.
 */
int reserve_blocks(struct pool *pool, uint64_t n, struct reservation *reservation);

/*
 * Reserve and take one for a table, with storage: out of those at the low end that are for tables (low.h), or else
 * like a block's.  May wait, so the caller holds no page and is outside sections; else the same.
 */
int reserve_table(struct pool *pool, struct reservation *reservation, uint64_t *page);

/* After -EAGAIN: wait until a reservation has ended, or memory has been given back. */
void reserve_wait(struct pool *pool, const struct reservation *reservation);

/* End `n` reservations: `committed` of them, whose blocks now have pages; the rest are cancelled. */
void reserve_end(struct pool *pool, uint64_t n, uint64_t committed);

/* Around the unmapping of blocks: begin before the first entry is cleared; end with how many were,
 * after their pages were retired. */
void reserve_unmap_begin(struct pool *pool);
void reserve_unmap_end(struct pool *pool, uint64_t unmapped);

/* For messages: how many more could be reserved now, while so many are lent. */
uint64_t reserve_left(struct pool *pool, uint64_t *lent);

/* How often reservations have ended so far: read it before looking at the entries. */
static inline uint64_t reserve_changes(const struct pool *pool)
{
	/*
	 * Acquire, with the release of whoever raised it: entries loaded after this are at least as
	 * new as that end.
	 */
	return atomic_load_explicit(&pool->changes, memory_order_acquire);
}

#endif /* RESERVE_H */
