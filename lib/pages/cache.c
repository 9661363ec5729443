/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache.c - free pages that lie ready for writers, and retired ones, by CPU.
 *
 * The usual take and put touch only the cache of the CPU at hand.  A cache refills from the freshly
 * reclaimed batches, then from the set of resident pages, then, on a file with holes, by giving
 * storage to absent ones.  Only when all that fails does a writer empty other caches and wait.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "pages/cache.h"
#include "pages/low.h"
#include "pages/storage.h"

#define CACHES_MAX 64u
/* Batches beside those in caches: pages in grace periods and freshly reclaimed. */
#define SHARED_BATCHES 64u
/* A refill for a small write takes this much for later ones. */
#define REFILL_PAGES 64u

/* ---- taking --------------------------------------------------------------------------------- */

static inline unsigned int near_cache(const struct pool *pool)
{
	int cpu = sched_getcpu();

	/* cache_count is a power of 2; a CPU that cannot be told is as good as any. */
	return (unsigned int)cpu & (pool->cache_count - 1);
}

/* Lock any cache but this one first. */
static __attribute__((noinline)) struct cache *lock_other_cache(struct pool *pool, unsigned int i)
{
	unsigned int tried = 1;

	do {
		i = (i + 1) & (pool->cache_count - 1);
		if (tried++ % pool->cache_count == 0)
			sched_yield();
	} while (!cache_trylock(&pool->caches[i]));
	return &pool->caches[i];
}

/* Lock the cache of this CPU, or, while somebody is in it, another. */
static inline struct cache *lock_cache(struct pool *pool, unsigned int i)
{
	struct cache *cache = &pool->caches[i];

	return __builtin_expect(cache_trylock(cache), 1) ? cache : lock_other_cache(pool, i);
}

/* Most often it is one, for which a call would take longer than the rest. */
static inline void copy_numbers(uint64_t *to, const uint64_t *from, unsigned int n)
{
	if (__builtin_expect(n == 1, 1))
		to[0] = from[0];
	else
		memcpy(to, from, n * sizeof(to[0]));
}

static inline unsigned int take_from(struct batch *batch, unsigned int most, uint64_t *page)
{
	unsigned int n = batch->count - batch->taken;

	if (n > most)
		n = most;
	copy_numbers(page, &batch->page[batch->taken], n);
	batch->taken += n;
	return n;
}

/* How many pages a cache may take at once for a writer that wants `wanted`. */
static unsigned int refill_size_locked(const struct pool *pool, unsigned int wanted)
{
	uint64_t share = pool->resident.total / (2 * pool->cache_count);

	/*
	 * While somebody waits, nothing goes into a cache for later: he has looked there already
	 * (see take_or_wait()) and would not be woken for it.
	 */
	if (pool->waiting > 0)
		return wanted;
	if (share > REFILL_PAGES)
		share = REFILL_PAGES;
	return share > wanted ? (unsigned int)share : wanted;
}

/* Fill an empty free batch, its cache locked.  False if there is nothing to fill it with. */
static bool refill_locked(struct pool *pool, struct cache *cache, unsigned int wanted)
{
	struct batch *batch = cache->free;
	unsigned int most = refill_size_locked(pool, wanted);
	uint64_t first, n;

	/*
	 * Ask for the retired pages before they are needed; but late, for a grace period interrupts
	 * every processor that writes, and so the fewer serve for the same pages.
	 */
	if (pool->resident.total + pool->recent.count * BATCH_PAGES <= pool->spare / 8)
		pool_hurry_locked(pool);
	if (pool->recent.count > 0 && pool->waiting == 0) {
		batch_push(&pool->empty, batch);
		cache->free = batch_pop(&pool->recent);
		return true;
	}
	batch->taken = 0;
	batch->count = 0;
	if (pool->recent.count > 0) {
		struct batch *recent = pool->recent.first;

		batch->count = take_from(recent, most, batch->page);
		if (recent->taken == recent->count)
			batch_push(&pool->empty, batch_pop(&pool->recent));
		return true;
	}
	while (batch->count < most && batch->count < BATCH_PAGES) {
		n = most - batch->count;
		if (n > BATCH_PAGES - batch->count)
			n = BATCH_PAGES - batch->count;
		n = pageset_take(&pool->resident, n, &first);
		if (n == 0)
			break;
		for (uint64_t i = 0; i < n; i++)
			batch->page[batch->count++] = first + i;
	}
	return batch->count > 0;
}

/* Refill the cache and take from it; how many are to be had, up to `most`.  Cache locked. */
static __attribute__((noinline)) unsigned int take_refilled(struct pool *pool, struct cache *cache,
							    unsigned int most, uint64_t *page)
{
	unsigned int n = 0;

	while (n < most) {
		bool more;

		pthread_mutex_lock(&pool->lock);
		more = refill_locked(pool, cache, most - n);
		pthread_mutex_unlock(&pool->lock);
		if (!more)
			break;
		n += take_from(cache->free, most - n, page + n);
	}
	return n;
}

/* Take what can be had without waiting; 0 if nothing. */
static inline unsigned int take_now(struct pool *pool, struct near *near, unsigned int most,
				    uint64_t *page)
{
	struct cache *cache = lock_cache(pool, near->cache);
	unsigned int n = take_from(cache->free, most, page);
	const struct batch *free;

	if (__builtin_expect(n < most, 0))
		n += take_refilled(pool, cache, most - n, page + n);
	free = cache->free;
	near->next = free->taken < free->count ? free->page[free->taken] : 0;
	cache_unlock(cache);
	return n;
}

/* Take pages that were put by in any cache. */
static unsigned int steal(struct pool *pool, unsigned int most, uint64_t *page)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < pool->cache_count && n == 0; i++) {
		struct cache *cache = &pool->caches[i];

		cache_lock(cache);
		n = take_from(cache->free, most, page);
		cache_unlock(cache);
	}
	return n;
}

/* True if some page is free outside the caches. */
static bool some_free_locked(const struct pool *pool)
{
	return pool->resident.total > 0 || pool->recent.count > 0;
}

/* True if no page will come. */
static bool is_hopeless_locked(const struct pool *pool)
{
	/* Relaxed: the flag is for good, and whoever misses it looks again. */
	if (atomic_load_explicit(&pool->frozen, memory_order_relaxed))
		return true;
	if (pool->stored + pool->zones.stored.total > pool->reserved || pool->pending > 0 ||
	    pool->populating > 0 || pool->punching > 0)
		return false;
	/* Views reserve more than they have: some may have been retired.  Relaxed: armed before it can be looked for. */
	return pool->in_grace == 0 && pool->full.count == 0 &&
	       !atomic_load_explicit(&pool->armed, memory_order_relaxed);
}

static int fail_hopeless_locked(const struct pool *pool, const char *what)
{
	if (atomic_load_explicit(&pool->frozen, memory_order_relaxed))
		return fail(EROFS, "%s: %s: read-only since a failure to persist", what,
			    pool->device->path);
	if (pool->absent.total > 0)
		return fail(ENOSPC, "%s: %s: its file system is full: free some space there", what,
			    pool->device->path);
	return fail(ENOSPC,
		    "%s: %s: media errors have used up the spare; copy the disk to another "
		    "device",
		    what, pool->device->path);
}

/*
 * Out of pages.  First say so (pool->waiting), which keeps refills from putting pages by in caches;
 * then look through the caches, which shows what was put by before; then wait for what comes back
 * to the shared lists.  In another order a page could be put by between the look and the wait, and
 * the wait would not end.
 */
static __attribute__((noinline)) unsigned int
take_or_wait(struct pool *pool, unsigned int most, uint64_t *page, const char *what, int *rc)
{
	unsigned int n;
	int more = 0;

	pthread_mutex_lock(&pool->lock);
	pool->waiting++;
	/* A page more, where the file system has one, is sooner had than a grace period. */
	if (!some_free_locked(pool))
		more = storage_populate_more_locked(pool);
	/* And writers come before those who want whole zones. */
	if (!some_free_locked(pool))
		pool_end_evacuation_locked(pool);
	pthread_mutex_unlock(&pool->lock);

	n = steal(pool, most, page);

	pthread_mutex_lock(&pool->lock);
	/* If there were more, and others have them by now: look again before giving up. */
	if (n == 0 && !some_free_locked(pool) && more <= 0) {
		if (!is_hopeless_locked(pool)) {
			pool_hurry_locked(pool);
			pthread_cond_wait(&pool->page, &pool->lock);
		} else if (low_give_up_locked(pool, pool->count) == 0) {
			*rc = fail_hopeless_locked(pool, what);
		}
	}
	pool->waiting--;
	pthread_mutex_unlock(&pool->lock);
	return n;
}

/* Take pages when there are any.  How many, or -errno with message. */
static __attribute__((noinline)) int take_later(struct pool *pool, struct near *near,
						unsigned int most, uint64_t *page)
{
	unsigned int n = 0;
	int rc = 0;

	while (n == 0 && rc == 0) {
		n = take_or_wait(pool, most, page, near->what, &rc);
		if (n == 0 && rc == 0)
			n = take_now(pool, near, most, page);
	}
	/* Who woke us may have had more, and the next has the same error to tell: see pool_freed_locked(). */
	pthread_mutex_lock(&pool->lock);
	pthread_cond_signal(&pool->page);
	pthread_mutex_unlock(&pool->lock);
	return rc != 0 ? rc : (int)n;
}

int cache_take(struct pool *pool, unsigned int most, uint64_t *page, struct near *near)
{
	unsigned int n;

	near->cache = near_cache(pool);
	n = take_now(pool, near, most, page);
	return __builtin_expect(n > 0, 1) ? (int)n : take_later(pool, near, most, page);
}

int cache_take_table(struct pool *pool, const char *what, uint64_t *page)
{
	struct near near = { .what = what };
	bool low;
	int rc;

	pthread_mutex_lock(&pool->lock);
	low = low_take_locked(pool, page);
	pthread_mutex_unlock(&pool->lock);
	if (low)
		return 0;
	rc = cache_take(pool, 1, page, &near);
	return rc < 0 ? rc : 0;
}

unsigned int cache_empty(struct pool *pool)
{
	uint64_t page[BATCH_PAGES];
	unsigned int n, total = 0;

	while ((n = steal(pool, BATCH_PAGES, page)) > 0) {
		pool_put(pool, page, n);
		total += n;
	}
	return total;
}

/* ---- retiring ------------------------------------------------------------------------------- */

/* Hand the cache's full batch over and get it an empty one; cache locked.  False: there is none. */
static __attribute__((noinline)) bool change_retired(struct pool *pool, struct cache *cache)
{
	pthread_mutex_lock(&pool->lock);
	if (cache->retired != NULL)
		batch_push(&pool->full, cache->retired);
	cache->retired = batch_pop(&pool->empty);
	if (pool->empty.count < SHARED_BATCHES / 4)
		pool_hurry_locked(pool);
	if (cache->retired == NULL && pool_spill_locked(pool))
		cache->retired = batch_pop(&pool->empty);
	if (cache->retired != NULL) {
		cache->retired->taken = 0;
		cache->retired->count = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return cache->retired != NULL;
}

static __attribute__((noinline)) void wake_reclaimer(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	atomic_store_explicit(&pool->armed, true, memory_order_relaxed);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

/* Tell the reclaimer that there is something.  Cache locked. */
static inline void arm(struct pool *pool)
{
	/*
	 * Inside the cache's lock, so that it is ordered against the reclaimer, which clears the
	 * flag before it locks each cache: either it sees what was put in the cache, or this load
	 * sees the flag cleared.
	 */
	if (__builtin_expect(!atomic_load_explicit(&pool->armed, memory_order_relaxed), 0))
		wake_reclaimer(pool);
}

/* Put what fits into the cache's retired batch.  Cache locked. */
static inline unsigned int put_retired(struct cache *cache, const uint64_t *page, unsigned int n)
{
	struct batch *batch = cache->retired;
	unsigned int some = BATCH_PAGES - batch->count;

	if (some > n)
		some = n;
	copy_numbers(&batch->page[batch->count], page, some);
	batch->count += some;
	return some;
}

unsigned int cache_retire_now(struct pool *pool, unsigned int near, const uint64_t *page,
			      unsigned int n)
{
	struct cache *cache = lock_cache(pool, near);
	unsigned int done = 0;

	while (done < n) {
		if (__builtin_expect(cache->retired == NULL || cache->retired->count == BATCH_PAGES,
				     0) &&
		    !change_retired(pool, cache))
			break;
		done += put_retired(cache, page + done, n - done);
	}
	arm(pool);
	cache_unlock(cache);
	return done;
}

void cache_retire(struct pool *pool, const uint64_t *page, unsigned int n)
{
	for (;;) {
		unsigned int done = cache_retire_now(pool, near_cache(pool), page, n);

		page += done;
		n -= done;
		if (n == 0)
			break;
		/* All batches are in grace periods: wait for one. */
		pthread_mutex_lock(&pool->lock);
		if (pool->empty.count == 0 && pool->recent.count == 0) {
			pool_hurry_locked(pool);
			pthread_cond_wait(&pool->freed, &pool->lock);
		}
		pthread_mutex_unlock(&pool->lock);
	}
}

/* ---- open and close ------------------------------------------------------------------------- */

int cache_init(struct pool *pool)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	unsigned int i, batches;

	/* A power of 2, so that a CPU's cache is found without a division. */
	pool->cache_count = 1;
	while (pool->cache_count < CACHES_MAX && (long)pool->cache_count < cpus)
		pool->cache_count *= 2;
	batches = 2 * pool->cache_count + SHARED_BATCHES;
	pool->batches = calloc(batches, sizeof(pool->batches[0]));
	pool->caches =
		aligned_alloc(_Alignof(struct cache), pool->cache_count * sizeof(pool->caches[0]));
	if (pool->batches == NULL || pool->caches == NULL) {
		pool->cache_count = 0;
		return -ENOMEM;
	}
	for (i = 0; i < batches; i++)
		batch_push(&pool->empty, &pool->batches[i]);
	for (i = 0; i < pool->cache_count; i++) {
		atomic_init(&pool->caches[i].busy, false);
		pool->caches[i].free = batch_pop(&pool->empty);
		pool->caches[i].retired = batch_pop(&pool->empty);
	}
	return 0;
}

void cache_destroy(struct pool *pool)
{
	free(pool->caches);
	free(pool->batches);
}
