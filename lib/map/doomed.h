/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doomed.h - a snapshot that is being deleted, while its volume goes on.
 *
 * What the snapshot owns and the volume does not name is marked, and freed when the snapshot is gone.  A sweep of both
 * maps marks it.  Meanwhile the volume is written to: who replaces a page or a table that the snapshot owns marks it as
 * well, in the section of the exchange.  So each is marked by one of them, or by both.  It is there until a grace period
 * after the gate has been closed: the steps are in api/snapshot-delete.c.
 */
#ifndef DOOMED_H
#define DOOMED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bitmap.h"
#include "map/map.h"

struct doomed {
	const struct map *before; /* the snapshot's predecessor; NULL: it has none */
	uint64_t first;		  /* data page of bit 0 */
	_Atomic uint64_t *blocks; /* a bit a page: it held a block ... */
	_Atomic uint64_t *tables; /* ... or was a table */
};

/* For the data pages of a map's device.  0 or -ENOMEM without message; in any case doomed_destroy(). */
int doomed_init(struct doomed *doomed, const struct map *before, const struct map *map);
void doomed_destroy(struct doomed *doomed);

/*
 * True if the snapshot, which has `page` at a place, owns it.  Level 0: a block.  Before the exchange, for it touches
 * the media: only under a guard, and in a section.
 */
bool doomed_owns(const struct doomed *doomed, unsigned int level, uint64_t number, uint64_t page);

static inline void doomed_mark_block(struct doomed *doomed, uint64_t page)
{
	bitmap_set(doomed->blocks, page - doomed->first);
}

static inline void doomed_mark_table(struct doomed *doomed, uint64_t page)
{
	bitmap_set(doomed->tables, page - doomed->first);
}

/* What the volume's predecessor is, if it is being deleted; else NULL.  In a section. */
static inline struct doomed *map_doomed(const struct map *map)
{
	/* Acquire: with the release of who began to delete it, who then waited for a grace period. */
	return atomic_load_explicit(&map->doomed, memory_order_acquire);
}

#endif /* DOOMED_H */
