/* SPDX-License-Identifier: BSD-3-Clause */
/* cache.h - free pages that lie ready for writers, and retired ones, by CPU.  See cache.c. */
#ifndef CACHE_H
#define CACHE_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pages/pool.h"

/*
 * A cache a CPU, used by whoever runs there and by anyone who runs short: not one a thread, since
 * a server's threads come and go by the hundred and would each hoard pages.
 */
struct cache {
	/*
	 * Covers the rest; nests outside pool->lock.  A flag and not a mutex: it is taken twice a
	 * write, held for a few instructions, and if its holder is preempted others go to another
	 * cache.
	 */
	_Atomic bool busy;
	struct batch *free;    /* to take from; never NULL */
	struct batch *retired; /* to retire into; NULL while none could be had */
} __attribute__((aligned(128)));

static inline bool cache_trylock(struct cache *cache)
{
	/*
	 * Acquire, with the release below: whoever locks sees what the last holder put in.  The
	 * load first spares the cache line while somebody else has it.
	 */
	return !atomic_load_explicit(&cache->busy, memory_order_relaxed) &&
	       !atomic_exchange_explicit(&cache->busy, true, memory_order_acquire);
}

static inline void cache_lock(struct cache *cache)
{
	while (!cache_trylock(cache))
		sched_yield();
}

static inline void cache_unlock(struct cache *cache)
{
	atomic_store_explicit(&cache->busy, false, memory_order_release);
}

/* Make the caches, each with its batches.  0 or -ENOMEM without message. */
int cache_init(struct pool *pool);
void cache_destroy(struct pool *pool);

/* What a taker says, and what it learns besides. */
struct near {
	const char *what;   /* "write" or "zero", for messages */
	unsigned int cache; /* the cache at hand, for cache_retire_now() */
	uint64_t next;	    /* the page that it will probably give out next; 0 for none */
};

/*
 * Take at least one and at most `most` free pages with storage.  Waits when there is none, so the
 * caller must hold no page and be outside sections.  Their number, or -ENOSPC with message if
 * there is no page at all: media errors have used up the spare, or nothing has storage yet and the
 * file system has none to give.
 */
int cache_take(struct pool *pool, unsigned int most, uint64_t *page, struct near *near);

/* Take one free page with storage for a table: from the low end of the device, if it has one.  Else the same. */
int cache_take_table(struct pool *pool, const char *what, uint64_t *page);

/*
 * Hand over pages that no entry names any more.  They are reused after a grace period (invariant
 * 4).  Invariant 3 wants the entries durable by then, so the caller either has drained before, or
 * is in a section that it leaves only after it has drained, or after pool_freeze() if that fails.
 *
 * The first never waits, and returns how many it could hand over, usually all; the second may wait
 * for a grace period, so outside sections and holding no taken page.
 */
unsigned int cache_retire_now(struct pool *pool, unsigned int cache, const uint64_t *page,
			      unsigned int n);
void cache_retire(struct pool *pool, const uint64_t *page, unsigned int n);

/* Put back into the set what caches hold to take from; without locks held.  Their number. */
unsigned int cache_empty(struct pool *pool);

#endif /* CACHE_H */
