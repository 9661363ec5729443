/* SPDX-License-Identifier: BSD-3-Clause */
/* table.h - give a volume tables of its own.  See table.c. */
#ifndef TABLE_H
#define TABLE_H

#include <stdint.h>

#include "map/map.h"
#include "pages/pool.h"

/*
 * Make the tables that are missing or shared on the way to a block, down to that of `level`; of level 1: so that it
 * has a leaf whose entries may be changed, in the epoch of that moment.  May wait for pages and for the gate, so the
 * caller holds no page and is outside sections.  0, or -errno with message; what was made stays.
 */
int table_make(struct map *map, struct pool *pool, uint64_t block, unsigned int level,
	       const char *what);

/* Where the way to a block's leaf ends: at a place without a table, at a shared table, or at an owned leaf. */
struct table_found {
	enum { TABLE_NONE, TABLE_SHARED, TABLE_OWNED } state;
	unsigned int level;
};

/* Look; what is not there is durably not there.  0, or -errno with message. */
int table_look(struct map *map, uint64_t block, const char *what, struct table_found *found);

/*
 * Drop the leaf of `n` blocks from `block` on, its first, if it is shared and all tables above are owned: they read as
 * zeroes then, durably, and nothing is retired.  Not if it has other blocks of the volume.  *dropped is
 * set to the number of pages that were reserved for them and the leaf.
 * 0, or -errno with message.
 */
int table_drop(struct map *map, struct pool *pool, uint64_t block, uint64_t n, const char *what,
	       unsigned int *dropped);

#endif /* TABLE_H */
