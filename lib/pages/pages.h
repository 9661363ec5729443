/* SPDX-License-Identifier: BSD-3-Clause */
/* pages.h - the free pages of a device, from open to close.  See pool.h for what they are. */
#ifndef PAGES_H
#define PAGES_H

#include <stdatomic.h>
#include <stdint.h>

#include "pages/pool.h"

/* What a device gives its pool. */
struct pages_found {
	uint64_t first; /* data pages: first one ... */
	uint64_t count; /* ... and how many */
	uint64_t spare;
	uint64_t for_tables; /* so many at the low end are for tables */
	const _Atomic uint64_t *
		named; /* those that are not free: entries name them, or they are bad and hold nothing */
	uint64_t blocks;   /* of these, those that hold blocks */
	uint64_t reserved; /* pages that are reserved: see docs/design.md, "Reservations" */
	uint64_t bad;
};

/* 0 or -errno with message. */
int pages_open(struct pool *pool, const struct device *device, const struct pages_found *found);
/* Its threads have ended.  A pool that is all zero is allowed. */
void pages_close(struct pool *pool);

/* How many there are, for people. */
struct pages_count {
	uint64_t used;	 /* blocks have them */
	uint64_t tables; /* that are tables, or the record */
	uint64_t
		free; /* all others but the quarantined; what follows, up to the quarantined, are parts */
	uint64_t reserved; /* for overwrites of what snapshots share */
	uint64_t spare;
	uint64_t for_tables;
	uint64_t headroom;
	uint64_t quarantined;
	uint64_t lent;
	uint64_t resident; /* free, with storage */
	uint64_t retired;  /* on their way through a grace period */
	/* Ever since the start: */
	uint64_t reclaimed;
	uint64_t punched;
	uint64_t returned;
};

/* A snapshot.  Takes locks. */
void pages_count(struct pool *pool, struct pages_count *count);

#endif /* PAGES_H */
