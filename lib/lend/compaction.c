/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * move.c - move blocks out of zones that are being drained.
 *
 * A thread that sleeps until somebody wants zones (zones.wanted).  It has the emptiest zones drained
 * (zones.h) and walks the index: a block whose page is in one of them is written anew, unchanged, by
 * the ordinary rules for part of a block (write.c), with a part of no bytes: a free page, copy,
 * drain, compare-and-exchange, retire.  So readers, writers and power failures see nothing of it.
 * One walk serves all zones that are drained together, and there is no table from page to block.
 *
 * Pages that were with a writer when draining began are published behind the walk's back, so it is
 * repeated until the zones are whole, a few times; what is not whole then goes back.
 *
 * It works half of the time and sleeps the other half.
 */
#include "config.h"

#include <errno.h>
#include <time.h>

#include "media/guard.h"
#include "io/handle.h"
#include "base/thread.h"

#define WALKS_MAX 8
/* Blocks moved between two sleeps. */
#define BURST 64u
/* Until pages that were moved or given back are through their grace period; and between tries. */
#define PAUSE_NS 20000000L

struct leaf {
	const struct kmemblk *h;
	uint64_t block; /* its first */
	unsigned int n;
	volatile unsigned int found;
	uint64_t to_move[LAYOUT_LEAF_ENTRIES];
};

static void find_access(void *opaque)
{
	struct leaf *leaf = opaque;
	const struct kmemblk *h = leaf->h;

	for (unsigned int i = 0; i < leaf->n; i++) {
		uint64_t page = index_load(&h->index, leaf->block + i);

		if (page != 0 && page != INDEX_BAD_PAGE && zones_draining(&h->pages, page)) {
			leaf->to_move[leaf->found] = leaf->block + i;
			leaf->found = leaf->found + 1;
		}
	}
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void sleep_ns(int64_t ns)
{
	nanosleep(&(struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 },
		  NULL);
}

/* True while there is still something to drain, and somebody who wants it. */
static bool go_on(struct kmemblk *h)
{
	struct pages *pages = &h->pages;
	bool yes;

	pthread_mutex_lock(&pages->lock);
	yes = pages->zones.count > 0 && pages->zones.wanted > 0 && zones_unfinished(pages);
	pthread_mutex_unlock(&pages->lock);
	return yes && !atomic_load_explicit(&h->mover.stop, memory_order_relaxed) &&
	       !atomic_load_explicit(&h->failed, memory_order_relaxed);
}

/* Move what one leaf has in draining zones.  False to end the walk. */
static bool move_leaf(struct kmemblk *h, struct leaf *leaf, unsigned int *burst, int64_t *begun)
{
	struct fault fault;

	leaf->found = 0;
	/* What cannot be read is left where it is. */
	if (!guard_run(&h->device.pm, find_access, leaf, &fault))
		return true;
	for (unsigned int i = 0; i < leaf->found; i++) {
		int rc = write_part(h, leaf->to_move[i], 0, 0, NULL, true);

		/* A media error leaves this block, and its zone, as they are. */
		if (rc != 0 && rc != -EIO)
			return false;
		if (rc == 0)
			atomic_fetch_add_explicit(&h->mover.moved, 1, memory_order_relaxed);
		if (++*burst % BURST == 0) {
			if (!go_on(h))
				return false;
			sleep_ns(now_ns() - *begun);
			*begun = now_ns();
		}
	}
	return true;
}

static void walk(struct kmemblk *h)
{
	struct leaf leaf = { .h = h };
	unsigned int burst = 0;
	int64_t begun = now_ns();

	for (uint64_t i = 0; i < h->index.leaves; i++) {
		leaf.block = i << LAYOUT_LEAF_SHIFT;
		leaf.n = LAYOUT_LEAF_ENTRIES;
		if (h->index.blocks - leaf.block < leaf.n)
			leaf.n = (unsigned int)(h->index.blocks - leaf.block);
		if (!index_leaf_empty(&h->index, i) && !move_leaf(h, &leaf, &burst, &begun))
			return;
	}
}

/* Make as many zones whole as are wanted, or as can be. */
static void make_whole(struct kmemblk *h)
{
	struct pages *pages = &h->pages;
	uint64_t begun;

	/* What lies ready for writers lies scattered. */
	pages_empty_slots(pages);
	pthread_mutex_lock(&pages->lock);
	while (pages_spill(pages))
		;
	begun = zones_drain(pages);
	pthread_mutex_unlock(&pages->lock);
	for (int i = 0; begun > 0 && i < WALKS_MAX && go_on(h); i++) {
		walk(h);
		pthread_mutex_lock(&pages->lock);
		reclaim_hurry(pages);
		pthread_mutex_unlock(&pages->lock);
		sleep_ns(PAUSE_NS);
		pages_empty_slots(pages);
	}
	pthread_mutex_lock(&pages->lock);
	zones_end(pages);
	pthread_mutex_unlock(&pages->lock);
}

static void *mover(void *opaque)
{
	struct kmemblk *h = opaque;
	struct pages *pages = &h->pages;

	pthread_mutex_lock(&pages->lock);
	while (!atomic_load_explicit(&h->mover.stop, memory_order_relaxed)) {
		if (pages->zones.wanted == 0 || h->failed) {
			pthread_cond_wait(&pages->zones.work, &pages->lock);
			continue;
		}
		pthread_mutex_unlock(&pages->lock);
		make_whole(h);
		h->mover.done(h->mover.opaque);
		/* Time to take them. */
		sleep_ns(PAUSE_NS);
		pthread_mutex_lock(&pages->lock);
	}
	pthread_mutex_unlock(&pages->lock);
	return NULL;
}

int mover_start(struct kmemblk *h)
{
	int rc = thread_start(&h->mover.thread, 0, mover, h);

	if (rc != 0)
		return thread_fail(rc, "start", h->device.path, "mover");
	h->mover.running = true;
	return 0;
}

void mover_stop(struct kmemblk *h)
{
	if (!h->mover.running)
		return;
	pthread_mutex_lock(&h->pages.lock);
	atomic_store_explicit(&h->mover.stop, true, memory_order_relaxed);
	pthread_cond_signal(&h->pages.zones.work);
	pthread_mutex_unlock(&h->pages.lock);
	pthread_join(h->mover.thread, NULL);
	h->mover.running = false;
	/* For another start, if this was the end of one that failed. */
	atomic_store_explicit(&h->mover.stop, false, memory_order_relaxed);
}
