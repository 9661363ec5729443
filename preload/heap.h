/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap.h - the program's heap: one range of addresses, in slots of a zone's size.
 *
 * A slot is empty (inaccessible), a borrowed zone, or ordinary memory.  Inside, pages are taken and
 * given by number, counted from the first of the range; see heap.c.  Nothing here calls malloc,
 * since malloc is what calls it.
 *
 * Locks: jemalloc's, then heap.lock, then the borrower's.  So nobody calls jemalloc who holds
 * heap.lock.
 */
#ifndef HEAP_H
#define HEAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "borrow/borrower.h"

#define HEAP_PAGE ((size_t)4096)
/* No allocation in the heap has a larger one. */
#define HEAP_ALIGNMENT ((size_t)64 << 20)

enum slot_kind { SLOT_EMPTY, SLOT_ZONE, SLOT_ORDINARY };

struct slot {
	uint8_t kind;
	uint8_t idle;  /* rounds of the helper that it has been wholly free for */
	bool untold;   /* it was a zone, and the server does not know yet */
	uint32_t free; /* pages */
	/* Free pages at its start, at its end, and in its longest run. */
	uint32_t head, tail, longest;
};

struct heap {
	/* Constant once the heap is there. */
	bool active;
	bool strict;   /* no ordinary memory */
	uint8_t *base; /* aligned to HEAP_ALIGNMENT */
	size_t slots;
	size_t zone_size, zone_pages;
	uint64_t zones_max;
	/* The rest is under this. */
	pthread_mutex_t lock;
	struct kmemblk_borrower *borrower; /* NULL in a forked child */
	struct slot *slot;
	uint64_t *free_bits;  /* a bit a page: it is in nobody's hands */
	uint64_t *clean_bits; /* and holds zeroes */
	size_t top;	      /* no slot from here on has ever been used */
	uint64_t zones;
	struct timespec retry_at; /* the server had none; until then it is not asked */
};

extern struct heap heap;

/* Make the heap; -errno. */
int heap_init(struct kmemblk_borrower *borrower, uint64_t limit, bool strict);

static inline bool heap_has(const void *memory)
{
	return heap.active &&
	       (uintptr_t)memory - (uintptr_t)heap.base < heap.slots * heap.zone_size;
}

static inline size_t heap_slot_of(const void *memory)
{
	return ((uintptr_t)memory - (uintptr_t)heap.base) / heap.zone_size;
}

static inline uint8_t *heap_slot_at(size_t slot)
{
	return heap.base + slot * heap.zone_size;
}

/* Whole pages; NULL when there are none, or the alignment is too large.  `*clean`: they hold zeroes. */
void *heap_take(size_t size, size_t alignment, bool *clean);
void heap_give(void *memory, size_t size);

/* Copies the pages of a slot that are in somebody's hands.  Under the lock. */
void heap_copy_slot_locked(void *to, size_t slot);

/* A slot's memory is ordinary now, with zeroes where nobody has it.  Under the lock. */
void heap_now_ordinary_locked(size_t slot);

/*
 * Gives back the memory of slots that have been wholly free for `rounds` calls; returns how many
 * bytes of them were the device's.
 */
uint64_t heap_trim(unsigned int rounds);

/* Do not ask for more for a while: the disk wants memory back. */
void heap_pause(void);

#endif /* HEAP_H */
