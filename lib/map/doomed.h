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

/* Pages a bit of `some`. */
#define DOOMED_CHUNK UINT64_C(32768)

struct doomed {
	const struct map *before; /* the snapshot's predecessor; NULL: it has none */
	uint64_t first;		  /* data page of bit 0 */
	uint64_t pages;
	_Atomic uint64_t *blocks; /* a bit a page: it held a block ... */
	_Atomic uint64_t *tables; /* ... or was a table */
	/* A bit a chunk: some of it is marked.  To find that takes as long as there is marked, not as the device is large. */
	_Atomic uint64_t *some;
};

/* For the data pages of a map's device.  0 or -ENOMEM without message; in any case doomed_destroy(). */
int doomed_init(struct doomed *doomed, const struct map *before, const struct map *map);
void doomed_destroy(struct doomed *doomed);

/*
 * True if the snapshot, which has `page` at a place, owns it.  Level 0: a block.  Before the exchange, for it touches
 * the media: only under a guard, and in a section.
 */
bool doomed_owns(const struct doomed *doomed, unsigned int level, uint64_t number, uint64_t page);

static inline void doomed_mark(struct doomed *doomed, _Atomic uint64_t *bits, uint64_t page)
{
	uint64_t bit = page - doomed->first;

	/* Most often it is set: then without a store, which other threads' marks would wait for. */
	if (!bitmap_test(doomed->some, bit / DOOMED_CHUNK))
		bitmap_set(doomed->some, bit / DOOMED_CHUNK);
	bitmap_set(bits, bit);
}

static inline void doomed_mark_block(struct doomed *doomed, uint64_t page)
{
	doomed_mark(doomed, doomed->blocks, page);
}

static inline void doomed_mark_table(struct doomed *doomed, uint64_t page)
{
	doomed_mark(doomed, doomed->tables, page);
}

/*
 * When all have marked: call `visit` with each `n` pages that are marked as blocks or, with `tables`, as tables; 1 <= n <=
 * 64.  How many there are.
 */
uint64_t doomed_visit(const struct doomed *doomed, bool tables,
		      void (*visit)(void *opaque, const uint64_t *page, unsigned int n),
		      void *opaque);

/* What the volume's predecessor is, if it is being deleted; else NULL.  In a section. */
static inline struct doomed *map_doomed(const struct map *map)
{
	/* Acquire: with the release of who began to delete it, who then waited for a grace period. */
	return atomic_load_explicit(&map->doomed, memory_order_acquire);
}

#endif /* DOOMED_H */
