/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reserve.c - who may have a new page: the counts that keep overwrites from ever failing.
 *
 * A page is reserved for a block without one only while that leaves the spare, so that a block that
 * has one can always be overwritten: the NBD specification makes this a duty, for an extent that is
 * reported as allocated.  On a file with holes it also takes storage (storage.c).
 *
 * If it is lent memory that stands in the way, it is recalled first (recall.c), and the request
 * waits for the answer, or for the time that the answer may take.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "pages/cache.h"
#include "pages/low.h"
#include "pages/reserve.h"
#include "pages/storage.h"

/* Pages that `n` new blocks lack. */
static uint64_t lacking_locked(const struct pool *pool, uint64_t n)
{
	/* The sums cannot overflow: n is at most what a view has, which is less than 2^40. */
	uint64_t need = pool->reserved + n + pool->spare + pool->low.free + pool->lent.total;

	return need > pool->usable ? need - pool->usable : 0;
}

uint64_t reserve_left(struct pool *pool, uint64_t *lent)
{
	uint64_t taken, left;

	pthread_mutex_lock(&pool->lock);
	/* Those that are for tables can be given up while nothing is lent. */
	taken = pool->reserved + pool->spare + pool->lent.total +
		(pool->lent.total > 0 ? pool->low.free : 0);
	left = taken < pool->usable ? pool->usable - taken : 0;
	*lent = pool->lent.total;
	pthread_mutex_unlock(&pool->lock);
	return left;
}

/* Say who has the pages that `n` new blocks would need. */
static void fail_full_locked(const struct pool *pool, const char *what)
{
	const char *cure = "trim what is not needed";
	char lent[96] = "", low[48] = "", bad[64] = "";

	/* Without a time: who has declined has done so at once. */
	if (pool->lent.total > 0)
		snprintf(lent, sizeof(lent), ", %llu lent as memory%s",
			 (unsigned long long)pool->lent.total,
			 pool_can_recall_locked(pool) ? " and not given back" : "");
	/* Relaxed: it only chooses words. */
	if (pool->lent.total > 0 &&
	    atomic_load_explicit(&pool->lender.borrowers, memory_order_relaxed) > 0)
		cure = "end programs that borrow from its server (kmemblk stat names them), or "
		       "trim what is not needed";
	if (pool->low.free > 0)
		snprintf(low, sizeof(low), ", %llu for tables", (unsigned long long)pool->low.free);
	if (pool->quarantined > 0)
		snprintf(bad, sizeof(bad), ", %llu quarantined after media errors",
			 (unsigned long long)pool->quarantined);
	fail(ENOSPC,
	     "%s: %s: no page is left for a new block: of %llu, %llu are used, %llu spare%s%s%s: "
	     "%s",
	     what, pool->device->path, (unsigned long long)pool->count,
	     (unsigned long long)pool->reserved, (unsigned long long)pool->spare, low, lent, bad,
	     cure);
}

static void fail_reserve_locked(const struct pool *pool, uint64_t n, int err, const char *what)
{
	if (err != -ENOSPC)
		fail_errno(-err, "%s: %s: storage for a new block", what, pool->device->path);
	else if (lacking_locked(pool, n) > 0)
		fail_full_locked(pool, what);
	else
		fail(ENOSPC,
		     "%s: %s: no storage for %llu new page%s: its file system is full: free some "
		     "space there",
		     what, pool->device->path, (unsigned long long)n, n == 1 ? "" : "s");
}

/* Reserve pages for `n` blocks, with storage.  0, or -errno without message. */
static int reserve_locked(struct pool *pool, uint64_t n)
{
	uint64_t lacking = lacking_locked(pool, n);
	int rc;

	/* A table less there is no harm while nothing is lent. */
	if (lacking > 0 && pool->lent.total == 0)
		lacking -= low_give_up_locked(pool, lacking);
	if (lacking > 0)
		return -ENOSPC;
	/*
	 * Counted before storage is sought, so that two writers cannot both rely on the same
	 * page.
	 */
	pool->reserved += n;
	pool->pending += n;
	rc = storage_populate_for_locked(pool, pool->reserved);
	if (rc != 0 && pool->zones.count > 0) {
		/* Zones that are being evacuated have storage, and new blocks come before whole zones. */
		pool_end_evacuation_locked(pool);
		rc = storage_populate_for_locked(pool, pool->reserved);
	}
	if (rc != 0) {
		pool->reserved -= n;
		pool->pending -= n;
		pthread_cond_broadcast(&pool->ended);
	}
	return rc;
}

int reserve_blocks(struct pool *pool, uint64_t n, struct reservation *reservation)
{
	bool alone;
	int rc;

	pthread_mutex_lock(&pool->lock);
	alone = pool->pending == 0;
	rc = reserve_locked(pool, n);
	/*
	 * Whoever is under way, or was since the caller looked, may map these very blocks, free
	 * others, or give up: no reason yet to refuse.
	 */
	if (rc != 0 && (!alone || pool->pending > 0 || reservation->changes != pool->changes))
		rc = -EAGAIN;
	else if (rc == -ENOSPC && recall_ask_locked(pool, n, &reservation->recall))
		rc = -EAGAIN;
	/* There is less room, and what was given storage may be more than is kept. */
	pool_changed_locked(pool);
	if (rc != 0 && rc != -EAGAIN)
		fail_reserve_locked(pool, n, rc, reservation->what);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

int reserve_table(struct pool *pool, struct reservation *reservation, uint64_t *page)
{
	struct near near = { .what = reservation->what };
	bool low;
	int rc;

	reservation->changes = reserve_changes(pool);
	pthread_mutex_lock(&pool->lock);
	low = low_take_locked(pool, page);
	if (low) {
		/* Of those that are for tables there is one less, and so reserved ones and the spare fit as before. */
		pool->reserved++;
		pool->pending++;
	}
	pthread_mutex_unlock(&pool->lock);
	if (low)
		return 0;
	rc = reserve_blocks(pool, 1, reservation);
	if (rc != 0)
		return rc;
	rc = cache_take(pool, 1, page, &near);
	if (rc < 0)
		reserve_end(pool, 1, 0);
	return rc < 0 ? rc : 0;
}

void reserve_wait(struct pool *pool, const struct reservation *reservation)
{
	pthread_mutex_lock(&pool->lock);
	if (recall_pending_locked(pool, &reservation->recall) &&
	    pool->keeper.returned == reservation->recall.seen)
		pthread_cond_clockwait(&pool->ended, &pool->lock, CLOCK_MONOTONIC,
				       &reservation->recall.until);
	else if (pool->pending > 0)
		pthread_cond_wait(&pool->ended, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

/* `pending` or `reserved` has fallen. */
static void ended_locked(struct pool *pool)
{
	/* Release: see reserve_changes(). */
	atomic_fetch_add_explicit(&pool->changes, 1, memory_order_release);
	pthread_cond_broadcast(&pool->ended);
	/* A writer may now see that no page will ever come. */
	if (pool->waiting > 0)
		pool_freed_locked(pool, 1);
}

void reserve_end(struct pool *pool, uint64_t n, uint64_t committed)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->pending -= n;
	pool->reserved -= n - committed;
	ended_locked(pool);
	pthread_mutex_unlock(&pool->lock);
}

void reserve_unmap_begin(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->pending++;
	pthread_mutex_unlock(&pool->lock);
}

void reserve_unmap_end(struct pool *pool, uint64_t unmapped)
{
	pthread_mutex_lock(&pool->lock);
	pool->pending--;
	pool->reserved -= unmapped;
	ended_locked(pool);
	pool_changed_locked(pool);
	pthread_mutex_unlock(&pool->lock);
}
