/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap.h - the program's heap: one range of addresses, in slots of a zone's size.
 *
 * Inside, pages are taken and given by number, counted from the first of the range; see heap.c.  Nothing
 * here calls malloc, since malloc is what calls it.
 *
 * Locks: the helper's turn, jemalloc's, then heap.lock, then the connection's.  So nobody calls jemalloc
 * who holds heap.lock.
 */
#ifndef HEAP_H
#define HEAP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_PAGE ((size_t)4096)
/* A zone's size is known before a server is asked: what it lends is of this size. */
#define HEAP_SLOT	((size_t)2 << 20)
#define HEAP_SLOT_PAGES (HEAP_SLOT / HEAP_PAGE)
/* A heap up to this is not worth while to borrow for. */
#define HEAP_SMALL (2 * HEAP_SLOT)
/* No allocation in the heap has a larger one. */
#define HEAP_ALIGNMENT ((size_t)64 << 20)

enum slot_kind {
	SLOT_EMPTY,   /* inaccessible */
	SLOT_CLAIMED, /* likewise: somebody is about to fill it */
	SLOT_LOAN,    /* a loan, shared: stores go to its file */
	SLOT_PRIVATE, /* a loan, mapped again for a fork: pages are copied when they are stored to */
	SLOT_COPIED,  /* the same, and all have been: the loan is over */
	SLOT_INHERITED, /* a private loan, and more, of the process that forked this one */
	SLOT_ORDINARY,	/* ordinary memory */
	SLOT_KINDS
};

struct slot {
	uint8_t kind;
	uint8_t idle;	 /* rounds of the helper that it has been wholly free for */
	bool wanted;	 /* the helper is to fill it with a loan ... */
	bool filling;	 /* ... and does */
	int fd;		 /* of a shared loan, in the helper's table */
	uint32_t free;	 /* pages */
	uint64_t offset; /* a loan's name */
	/* Free pages at its start, at its end, and in its longest run. */
	uint32_t head, tail, longest;
};

struct heap {
	/* Constant once the heap is there. */
	bool active;
	bool strict;   /* no ordinary memory */
	uint8_t *base; /* aligned to HEAP_ALIGNMENT */
	size_t slots;
	/* Have a claimed slot filled with a loan, if one can be had now.  May let go of the lock. */
	bool (*borrow_locked)(size_t slot);
	/* True if one could be had, and if this thread is to have nothing else. */
	bool (*can_borrow_locked)(void);
	bool (*must_borrow)(void);
	/* The program has changed the protection or the locks of pages of the heap. */
	_Atomic bool marked;
	/* The rest is under this. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct slot *slot;
	uint64_t *free_bits;  /* a bit a page: it is in nobody's hands */
	uint64_t *clean_bits; /* and holds zeroes */
	size_t top;	      /* no slot from here on has ever been used */
	size_t grown;	      /* slots filled, by this process */
	size_t of_kind[SLOT_KINDS], most_of_kind[SLOT_KINDS];
};

extern struct heap heap;

/* Make the heap; -errno. */
int heap_init(bool strict);

static inline bool heap_has(const void *memory)
{
	return heap.active && (uintptr_t)memory - (uintptr_t)heap.base < heap.slots * HEAP_SLOT;
}

/* True for a range that is partly or wholly in it. */
static inline bool heap_has_some(const void *memory, size_t length)
{
	uintptr_t start = (uintptr_t)memory, base = (uintptr_t)heap.base;

	return heap.active && start < base + heap.slots * HEAP_SLOT &&
	       (start >= base || length > base - start);
}

static inline uint8_t *heap_slot_at(size_t slot)
{
	return heap.base + slot * HEAP_SLOT;
}

/* Whole pages; NULL when there are none, or the alignment is too large.  `*clean`: they hold zeroes. */
void *heap_take(size_t size, size_t alignment, bool *clean);
/* The same at an address of the heap; false if something there is taken. */
bool heap_take_at(void *memory, size_t size, bool *clean);
void heap_give(void *memory, size_t size);

/* ---- for the helper ------------------------------------------------------------------------- */

/* A slot becomes, or ceases to be, of a kind. */
void heap_set_kind_locked(size_t slot, enum slot_kind kind);

static inline bool heap_is_free_locked(size_t slot)
{
	return heap.slot[slot].kind > SLOT_CLAIMED && heap.slot[slot].free == HEAP_SLOT_PAGES;
}

/* A slot that was claimed and filled is free, and zeroed. */
void heap_all_free_locked(size_t slot);

/* In a child that has been forked: nobody fills slots, and the loans are its parent's. */
void heap_forked_locked(void);

/* Make a slot that is wholly free empty; false if the kernel refuses. */
bool heap_vacate_locked(size_t slot);

/*
 * Free pages of a private slot become ordinary memory; the first run of those that are taken, from
 * `*page` of it on: their number, 0 none.
 */
void heap_free_private_locked(size_t slot);
size_t heap_next_taken_locked(size_t slot, size_t *page);

#endif /* HEAP_H */
