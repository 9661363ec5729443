/* SPDX-License-Identifier: BSD-3-Clause */
/* chunk.h - blocks that are written together, and what is seldom done with them.  See write.c. */
#ifndef CHUNK_H
#define CHUNK_H

#include "io/before.h"
#include "io/handle.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/reserve.h"

/* Blocks a chunk: enough to make drains and waits rare, few enough for the stack. */
#define CHUNK_BLOCKS 64u

struct chunk {
	struct kmemblk *h;
	struct kmemblk_volume *v;
	struct reservation *reservation;
	uint64_t block;			/* first */
	uint64_t gate;			/* by which the leaf was found */
	_Atomic uint64_t *entry;	/* the first one's */
	const _Atomic uint64_t *before; /* the predecessor's; NULL: it has no leaf */
	unsigned int count;		/* blocks, and pages taken for them */
	const uint8_t *src;		/* NULL: zeroes */
	struct near near;		/* see cache_take() */
	uint64_t reserved;		/* reservations that have not ended */
	unsigned int retired;		/* how many of old[] have been retired */
	int rc;				/* of step 3: what reserve_blocks() said */
	int persist;			/* of steps 2 and 6: -errno of msync */
	enum pm_order order;		/* of step 6 */
	/* Read after a fault: */
	volatile uint64_t committed; /* reservations whose blocks have got a page */
	volatile unsigned int left;  /* blocks whose old page stays with the predecessor */
	volatile unsigned int published;
	volatile unsigned int replaced; /* of old[] */
	volatile bool in_section;
	volatile bool persisted;
	uint64_t page[CHUNK_BLOCKS];  /* taken; [published, count) still are */
	uint32_t check[CHUNK_BLOCKS]; /* the check value of what has been stored to each */
	uint64_t old[CHUNK_BLOCKS];   /* pages that were replaced */
};

enum exchanged {
	EXCHANGED,  /* published; *seen is what was replaced */
	CHANGED,    /* somebody else was first; *seen is what is there now */
	UNRESERVED, /* it takes a page more than there was, and none is reserved for it */
};

/*
 * Publish the i-th page where that takes a page more than there was: the block has none, and *seen is 0; or the volume is
 * thin, and that of the block stays with the predecessor.  What is reserved for it is committed; nothing may be, if the
 * block has become such a one since that was looked at.
 */
enum exchanged chunk_exchange_first(struct chunk *c, unsigned int i, uint64_t entry,
				    uint64_t *seen);

/* Of the first `count` blocks, those that the predecessor has, too: a guess. */
unsigned int chunk_count_shared(const struct chunk *c, unsigned int count);

/* Count what the map has and owns now: in the section, see map.h. */
void chunk_count_new(struct chunk *c);

/*
 * An access met a fault.  0 if the media failed at a free page, and another may do; else -errno with
 * message.
 */
int chunk_meet_fault(struct chunk *c, const struct fault *fault);

/* End it: give back and retire what is left to, and end the reservations.  `rc`, or -errno with message. */
int chunk_finish_rest(struct chunk *c, int rc);

#endif /* CHUNK_H */
