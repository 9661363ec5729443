/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * low.h - pages at the low end of the device, which are for tables.
 *
 * Nothing moves a table, so one in a zone keeps that zone from ever being lent.  The low end has as many pages
 * as the record and the tables of the largest disk take: blocks are not put there, and it is not lent, so tables
 * find a place there and lie together.  A device whose volumes need more tables has the others anywhere.
 *
 * The pages there are found at open, and are those that hold no block, while reserved pages and the spare find
 * others: after a device has grown, or where it is full, they are fewer, and as few as none.
 */
#ifndef LOW_H
#define LOW_H

#include <stdbool.h>
#include <stdint.h>

#include "pages/pool.h"

/* At open: set aside what is free of the first `n` data pages.  0, or -ENOMEM without message. */
int low_set_aside_locked(struct pool *pool, uint64_t n);

/*
 * From now on at most so many are like all other pages: at open and for an overwrite if there is nothing else, and
 * for a new block while nothing is lent.  How many were free.
 */
uint64_t low_give_up_locked(struct pool *pool, uint64_t most);

/*
 * Take one of them for a table or a record, with storage.  False if there is none.  Waits for a grace period if
 * some are in one, so the caller holds no page and is outside sections; lets go of the lock.
 */
bool low_take_locked(struct pool *pool, uint64_t *page);

#endif /* LOW_H */
