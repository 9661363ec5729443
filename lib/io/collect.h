/* SPDX-License-Identifier: BSD-3-Clause */
/* collect.h - give up leaves in which no block is left.  See collect.c. */
#ifndef COLLECT_H
#define COLLECT_H

#include <stdbool.h>
#include <stdint.h>

#include "io/handle.h"

/* Leaves that have been given up since the open: for who begins a request. */
static inline uint64_t collect_count(const struct kmemblk *h)
{
	/* Acquire, with the release of who gives them up: their pages can be had. */
	return atomic_load_explicit(&h->collected, memory_order_acquire);
}

/*
 * A request, which began when `seen` had been given up, is to be refused for want of a page: true if it is worth
 * trying again, for some have been given up since, or are now.  It waits for changes of views and for grace periods,
 * so outside sections, with no page and no lock.
 */
bool collect_for(struct kmemblk *h, uint64_t seen);

/* How often: it may make the very leaf again each time, and lack a page for the block. */
#define COLLECT_TRIES 16u

/* The same for a change of views, with both locks: how many were given up. */
uint64_t collect_leaves_locked(struct kmemblk *h);

#endif /* COLLECT_H */
