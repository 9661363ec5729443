/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reclaim.c - the reclaimer: takes retired pages through a grace period and frees them.
 *
 * One thread a handle.  It sleeps while nothing is retired; the first retired page wakes it; it
 * then waits a moment for more, so that one grace period serves thousands of pages, unless a
 * writer is short (pages->urgent).  What it frees goes out again in the batch it came in.
 */
#include "config.h"

#include <errno.h>

#include "base/deadline.h"
#include "pages/grace.h"
#include "pages/pages.h"
#include "base/thread.h"

/* How long to collect when nobody is in a hurry. */
#define COLLECT_MS 10
/* Freshly released batches kept as they are; what is more goes back to the set by zones. */
#define RECENT_MAX 32u

void reclaim_hurry(struct pages *pages)
{
	if (pages->urgent)
		return;
	pages->urgent = true;
	pthread_cond_signal(&pages->work);
}

static uint64_t count_pages(const struct batch *batch)
{
	uint64_t n = 0;

	for (; batch != NULL; batch = batch->next)
		n += batch->count;
	return n;
}

uint64_t reclaim_count_retired(struct pages *pages)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < pages->slot_count; i++) {
		struct slot *slot = &pages->slots[i];

		slot_lock(slot);
		if (slot->retired != NULL)
			n += slot->retired->count;
		slot_unlock(slot);
	}
	pthread_mutex_lock(&pages->lock);
	n += count_pages(pages->full.first) + pages->in_grace;
	pthread_mutex_unlock(&pages->lock);
	return n;
}

/* Collect all that has been retired so far.  No lock held. */
static struct batch *collect(struct pages *pages)
{
	struct batch *all;

	for (unsigned int i = 0; i < pages->slot_count; i++) {
		struct slot *slot = &pages->slots[i];

		slot_lock(slot);
		if (slot->retired != NULL && slot->retired->count > 0) {
			pthread_mutex_lock(&pages->lock);
			batch_push(&pages->full, slot->retired);
			slot->retired = NULL;
			pthread_mutex_unlock(&pages->lock);
		}
		slot_unlock(slot);
	}
	pthread_mutex_lock(&pages->lock);
	all = pages->full.first;
	pages->full.first = NULL;
	pages->full.count = 0;
	pages->in_grace = count_pages(all);
	pthread_mutex_unlock(&pages->lock);
	return all;
}

/* Drop the pages whose media has failed.  Lock held. */
static void quarantine(struct pages *pages, struct batch *batch)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		if (bitmap_test(pages->bad, batch->page[i] - pages->first))
			continue;
		batch->page[kept++] = batch->page[i];
	}
	pages->bad_count += batch->count - kept;
	pages->usable -= batch->count - kept;
	pages->stored -= batch->count - kept;
	batch->count = kept;
}

/* Free the pages of one batch whose grace period is over.  Lock held. */
static void release(struct pages *pages, struct batch *batch)
{
	struct batch_list *list = &pages->recent;

	/* Not to be reused, ever; the batch goes on, so that nobody waits for it. */
	if (atomic_load_explicit(&pages->frozen, memory_order_relaxed))
		batch->count = 0;
	if (atomic_load_explicit(&pages->any_bad, memory_order_acquire))
		quarantine(pages, batch);
	/* While zones are drained, each page goes where it belongs. */
	if (pages->recent.count >= RECENT_MAX || batch->count == 0 || pages->zones.count > 0) {
		for (uint32_t i = 0; i < batch->count; i++)
			pages_free_run(pages, batch->page[i], 1);
		batch->count = 0;
		list = &pages->empty;
	}
	batch->taken = 0;
	batch_push(list, batch);
}

static void reclaim(struct pages *pages)
{
	struct batch *all = collect(pages);

	if (all == NULL)
		return;
	/* Invariant 4: after this no reader is left that looked one of these pages up. */
	grace_wait();
	pthread_mutex_lock(&pages->lock);
	while (all != NULL) {
		struct batch *next = all->next;

		pages->released += all->count;
		release(pages, all);
		all = next;
	}
	pthread_cond_broadcast(&pages->freed);
	pages->in_grace = 0;
	pages->memory.released = true;
	memory_changed(pages);
	pthread_mutex_unlock(&pages->lock);
}

static void wait_for_more(struct pages *pages)
{
	struct timespec until = deadline_after(COLLECT_MS);

	while (!pages->urgent && !pages->stop && pages->waiting == 0)
		if (pthread_cond_clockwait(&pages->work, &pages->lock, CLOCK_MONOTONIC, &until) ==
		    ETIMEDOUT)
			break;
}

static void *reclaimer(void *opaque)
{
	struct pages *pages = opaque;

	pthread_mutex_lock(&pages->lock);
	for (;;) {
		while (!pages->stop && !atomic_load_explicit(&pages->armed, memory_order_relaxed))
			pthread_cond_wait(&pages->work, &pages->lock);
		if (pages->stop)
			break;
		wait_for_more(pages);
		/* Before looking into the slots: see arm(). */
		atomic_store_explicit(&pages->armed, false, memory_order_relaxed);
		pages->urgent = false;
		pthread_mutex_unlock(&pages->lock);
		reclaim(pages);
		pthread_mutex_lock(&pages->lock);
	}
	pthread_mutex_unlock(&pages->lock);
	return NULL;
}

int reclaim_start(struct pages *pages)
{
	int rc = thread_start(&pages->reclaimer, 0, reclaimer, pages);

	if (rc != 0)
		return thread_fail(rc, "start", pages->device->path, "reclaimer");
	pages->running = true;
	return 0;
}

void reclaim_stop(struct pages *pages)
{
	if (!pages->running)
		return;
	pthread_mutex_lock(&pages->lock);
	pages->stop = true;
	pthread_cond_signal(&pages->work);
	pthread_mutex_unlock(&pages->lock);
	pthread_join(pages->reclaimer, NULL);
	pages->running = false;
	pages->stop = false;
}
