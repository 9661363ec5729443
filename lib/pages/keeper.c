/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keeper.c - the thread that gives free pages away and asks for them.
 *
 * One thread a handle, so that neither a writer nor the reclaimer ever waits for a system call on a
 * large range or for a memory user's callback:
 *
 *   punch    Free pages with storage, beyond what reservations need, lose it.  It begins when they
 *            are more than the watermark and goes on to three quarters of that, so steady rewriting,
 *            which neither needs nor frees storage in sum, makes no system calls.
 *   offer    What has been reclaimed is offered to the memory user, a run at a time, zeroed.  A
 *            refusal ends it until something else is reclaimed.
 *   recall   When the pages that are neither reserved nor lent fall below spare and headroom, the
 *            memory user is asked to give back; again when they have fallen by another eighth of
 *            the headroom, and whenever a writer would otherwise get ENOSPC, who waits for it
 *            (recall.c).
 */
#include "config.h"

#include "base/thread.h"
#include "pages/cache.h"
#include "pages/keeper.h"
#include "pages/lent.h"
#include "pages/recall.h"
#include "pages/storage.h"

/* ---- recalling ---------------------------------------------------------------------- */

/* Pages to ask for; 0 if nothing is missing, or nobody has any. */
static uint64_t missing_locked(const struct pool *pool, uint64_t wanted)
{
	const struct keeper *keeper = &pool->keeper;
	/* A quarter more than the headroom, so that the next block does not ask again. */
	int64_t n = (int64_t)(keeper->headroom + keeper->headroom / 4) - pool_room_locked(pool);

	if (n < (int64_t)wanted)
		n = (int64_t)wanted;
	if (n > (int64_t)pool->lent.total)
		n = (int64_t)pool->lent.total;
	return n > 0 ? (uint64_t)n : 0;
}

/* Ask those who have memory for what is missing.  False if there is no need. */
static bool recall_locked(struct pool *pool)
{
	struct keeper *keeper = &pool->keeper;
	uint64_t round = keeper->asked, wanted = keeper->wanted, n;
	bool more = false;

	if (!pool_can_recall_locked(pool) ||
	    (keeper->asked == keeper->taken_up && !pool_low_locked(pool)))
		return false;
	keeper->wanted = 0;
	keeper->taken_up = round;
	keeper->asked_at = pool_room_locked(pool) - (int64_t)(keeper->headroom / 8);
	n = missing_locked(pool, wanted);
	if (n > 0 && keeper->user.recall != NULL) {
		uint64_t before = keeper->returned;

		pthread_mutex_unlock(&pool->lock);
		more = keeper->user.recall(keeper->user.opaque, n << LAYOUT_PAGE_SHIFT) > 0;
		pthread_mutex_lock(&pool->lock);
		wanted -= keeper->returned - before < wanted ? keeper->returned - before : wanted;
		n = missing_locked(pool, wanted);
	}
	if (n > 0)
		more |= recall_from_borrowers_locked(pool, n, round);
	/* More to come: whoever waits goes on waiting, until it comes or his time is over. */
	if (more)
		pthread_cond_broadcast(&pool->ended);
	else
		recall_answered_locked(pool, round);
	return true;
}

/* ---- offering and punching ------------------------------------------------------------------ */

/* Offer one run of what is free.  False if there is none, or it was refused. */
static bool offer_locked(struct pool *pool)
{
	struct keeper *keeper = &pool->keeper;
	uint64_t most = pool_lendable_locked(pool);
	uint64_t first, n;
	bool taken;

	if (keeper->user.offer == NULL || !keeper->offering)
		return false;
	if (most > pool_unneeded_locked(pool))
		most = pool_unneeded_locked(pool);
	if (most > 0 && pool->resident.total == 0)
		pool_spill_locked(pool);
	n = most > 0 ? pageset_take_back(&pool->resident, most, &first) : 0;
	if (n == 0) {
		keeper->offering = false;
		return false;
	}
	lent_add_locked(pool, first, n);
	/* What is reclaimed meanwhile sets it again. */
	keeper->offering = false;
	pthread_mutex_unlock(&pool->lock);
	taken = lent_clear(pool, first, n) == 0 &&
		keeper->user.offer(keeper->user.opaque, pm_page(&pool->device->pm, first),
				   n << LAYOUT_PAGE_SHIFT) > 0;
	pthread_mutex_lock(&pool->lock);
	if (taken)
		keeper->offering = true;
	else
		lent_return_locked(pool, first, n);
	return true;
}

/* Take the storage of one run away, on the way to three quarters of the watermark.  False if at the end. */
static bool punch_locked(struct pool *pool)
{
	struct keeper *keeper = &pool->keeper;
	uint64_t floor = keeper->watermark - keeper->watermark / 4;
	int64_t n;

	if (pool_too_much_locked(pool))
		keeper->punching = true;
	if (!keeper->punching || pool->waiting > 0 || pool_unneeded_locked(pool) <= floor) {
		keeper->punching = false;
		return false;
	}
	n = storage_punch_locked(pool, pool_unneeded_locked(pool) - floor);
	if (n > 0)
		keeper->punched += (uint64_t)n;
	if (n == 0 && !pool_spill_locked(pool)) {
		pthread_mutex_unlock(&pool->lock);
		n = cache_empty(pool);
		pthread_mutex_lock(&pool->lock);
		/* If none: the rest is with writers or retired, and comes back this way. */
		keeper->punching = n > 0;
	}
	/* A device that refuses is tried again when something else is reclaimed. */
	if (n < 0)
		keeper->punching = false;
	return keeper->punching;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void *run(void *opaque)
{
	struct pool *pool = opaque;
	struct keeper *keeper = &pool->keeper;

	pthread_mutex_lock(&pool->lock);
	while (!keeper->stop) {
		keeper->called = false;
		if (recall_locked(pool) || offer_locked(pool) || punch_locked(pool))
			continue;
		/* Called while the lock was dropped: look once more. */
		if (!keeper->called)
			pthread_cond_wait(&keeper->work, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int keeper_start(struct pool *pool)
{
	struct keeper *keeper = &pool->keeper;
	int rc;

	storage_punch_unwritten(pool);
	rc = thread_start(&keeper->thread, 0, run, pool);
	if (rc != 0)
		return thread_fail(rc, "start", pool->device->path, "memory");
	/* The reclaimer, which runs already, reads it. */
	pthread_mutex_lock(&pool->lock);
	keeper->running = true;
	/* Before this, nobody called it. */
	pool_changed_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

void keeper_stop(struct pool *pool)
{
	struct keeper *keeper = &pool->keeper;

	if (!keeper->running)
		return;
	pthread_mutex_lock(&pool->lock);
	keeper->stop = true;
	keeper->running = false;
	pool_call_keeper_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	pthread_join(keeper->thread, NULL);
	/* For another start, if this was the end of one that failed. */
	keeper->stop = false;
}
