/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reclaim.c - the reclaimer: takes retired pages through a grace period and frees them.
 *
 * One thread a handle.  It sleeps while nothing is retired; the first retired page wakes it; it
 * then waits a moment for more, so that one grace period serves thousands of pages, unless a
 * writer is short (pool->urgent).  What it frees goes out again in the batch it came in.
 */
#include "config.h"

#include <errno.h>

#include "base/deadline.h"
#include "base/thread.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reclaim.h"

/* How long to collect when nobody is in a hurry. */
#define COLLECT_MS 10
/* Freshly reclaimed batches kept as they are; what is more goes back to the set by zones. */
#define RECENT_MAX 32u

static uint64_t count_pages(const struct batch *batch)
{
	uint64_t n = 0;

	for (; batch != NULL; batch = batch->next)
		n += batch->count;
	return n;
}

uint64_t reclaim_count_retired(struct pool *pool)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < pool->cache_count; i++) {
		struct cache *cache = &pool->caches[i];

		cache_lock(cache);
		if (cache->retired != NULL)
			n += cache->retired->count;
		cache_unlock(cache);
	}
	pthread_mutex_lock(&pool->lock);
	n += count_pages(pool->full.first) + pool->in_grace;
	pthread_mutex_unlock(&pool->lock);
	return n;
}

/* Collect all that has been retired so far.  No lock held. */
static struct batch *collect(struct pool *pool)
{
	struct batch *all;

	for (unsigned int i = 0; i < pool->cache_count; i++) {
		struct cache *cache = &pool->caches[i];

		cache_lock(cache);
		if (cache->retired != NULL && cache->retired->count > 0) {
			pthread_mutex_lock(&pool->lock);
			batch_push(&pool->full, cache->retired);
			cache->retired = NULL;
			pthread_mutex_unlock(&pool->lock);
		}
		cache_unlock(cache);
	}
	pthread_mutex_lock(&pool->lock);
	all = pool->full.first;
	pool->full.first = NULL;
	pool->full.count = 0;
	pool->in_grace = count_pages(all);
	pthread_mutex_unlock(&pool->lock);
	return all;
}

/* Drop the pages whose media has failed. */
static void quarantine_locked(struct pool *pool, struct batch *batch)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		if (bitmap_test(pool->bad, batch->page[i] - pool->first))
			pool_quarantine_locked(pool, batch->page[i]);
		else
			batch->page[kept++] = batch->page[i];
	}
	batch->count = kept;
}

/* What is for tables does not go out again in the batch. */
static void free_low_locked(struct pool *pool, struct batch *batch)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		if (__builtin_expect(pool_is_low_locked(pool, batch->page[i]), 0))
			pool_free_locked(pool, batch->page[i], 1);
		else
			batch->page[kept++] = batch->page[i];
	}
	batch->count = kept;
}

/* Free the pages of one batch whose grace period is over. */
static void reclaim_locked(struct pool *pool, struct batch *batch)
{
	struct batch_list *list = &pool->recent;

	/* Not to be reused, ever; the batch goes on, so that nobody waits for it. */
	if (atomic_load_explicit(&pool->frozen, memory_order_relaxed))
		batch->count = 0;
	if (atomic_load_explicit(&pool->any_bad, memory_order_acquire))
		quarantine_locked(pool, batch);
	free_low_locked(pool, batch);
	/* While zones are evacuated, each page goes where it belongs. */
	if (pool->recent.count >= RECENT_MAX || batch->count == 0 || pool->zones.count > 0) {
		for (uint32_t i = 0; i < batch->count; i++)
			pool_free_locked(pool, batch->page[i], 1);
		batch->count = 0;
		list = &pool->empty;
	}
	batch->taken = 0;
	batch_push(list, batch);
}

static void reclaim(struct pool *pool)
{
	struct batch *all = collect(pool);

	if (all == NULL) {
		/* Who waits for what was retired looks again: it has come back, or there was nothing. */
		pthread_mutex_lock(&pool->lock);
		pool_freed_locked(pool, 1);
		pthread_mutex_unlock(&pool->lock);
		return;
	}
	/* Invariant 4: after this no reader is left that looked one of these pages up. */
	grace_wait();
	pthread_mutex_lock(&pool->lock);
	while (all != NULL) {
		struct batch *next = all->next;

		pool->reclaimed += all->count;
		reclaim_locked(pool, all);
		all = next;
	}
	pool_freed_locked(pool, pool->in_grace);
	pool->in_grace = 0;
	pool->keeper.offering = true;
	pool_changed_locked(pool);
	pthread_mutex_unlock(&pool->lock);
}

static void wait_for_more_locked(struct pool *pool)
{
	struct timespec until = deadline_after(COLLECT_MS);

	while (!pool->urgent && !pool->stop && pool->waiting == 0)
		if (pthread_cond_clockwait(&pool->work, &pool->lock, CLOCK_MONOTONIC, &until) ==
		    ETIMEDOUT)
			break;
}

static void *reclaimer(void *opaque)
{
	struct pool *pool = opaque;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (!pool->stop && !atomic_load_explicit(&pool->armed, memory_order_relaxed))
			pthread_cond_wait(&pool->work, &pool->lock);
		if (pool->stop)
			break;
		wait_for_more_locked(pool);
		/* Before looking into the caches: see arm(). */
		atomic_store_explicit(&pool->armed, false, memory_order_relaxed);
		pool->urgent = false;
		pthread_mutex_unlock(&pool->lock);
		reclaim(pool);
		pthread_mutex_lock(&pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int reclaim_start(struct pool *pool)
{
	int rc = thread_start(&pool->reclaimer, 0, reclaimer, pool);

	if (rc != 0)
		return thread_fail(rc, "start", pool->device->path, "reclaimer");
	pool->running = true;
	return 0;
}

void reclaim_stop(struct pool *pool)
{
	if (!pool->running)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	pthread_join(pool->reclaimer, NULL);
	pool->running = false;
	pool->stop = false;
}
