/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache.c - free pages that lie ready for writers, and retired ones, by CPU.
 *
 * The usual take and put touch only the slot of the CPU at hand.  A slot refills from the freshly
 * released batches, then from the set of resident pages, then, on a file with holes, by giving
 * storage to absent ones.  Only when all that fails does a writer empty other slots and wait.
 */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "pages/cache.h"
#include "pages/storage.h"

#define SLOTS_MAX 64u
/* Batches beside those in slots: pages in grace periods and freshly released. */
#define SHARED_BATCHES 64u
/* A refill for a small write takes this much for later ones. */
#define REFILL_PAGES 64u

/* ---- taking --------------------------------------------------------------------------------- */

static inline unsigned int near_slot(const struct pool *pool)
{
	int cpu = sched_getcpu();

	/* slot_count is a power of 2; a CPU that cannot be told is as good as any. */
	return (unsigned int)cpu & (pool->slot_count - 1);
}

/* Lock any slot but this one first. */
static __attribute__((noinline)) struct slot *lock_other_slot(struct pool *pool, unsigned int i)
{
	unsigned int tried = 1;

	do {
		i = (i + 1) & (pool->slot_count - 1);
		if (tried++ % pool->slot_count == 0)
			sched_yield();
	} while (!slot_trylock(&pool->slots[i]));
	return &pool->slots[i];
}

/* Lock the slot of this CPU, or, while somebody is in it, another. */
static inline struct slot *lock_slot(struct pool *pool, unsigned int i)
{
	struct slot *slot = &pool->slots[i];

	return __builtin_expect(slot_trylock(slot), 1) ? slot : lock_other_slot(pool, i);
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

/* How many pages a slot may take at once for a writer that wants `wanted`. */
static unsigned int refill_size_locked(const struct pool *pool, unsigned int wanted)
{
	uint64_t share = pool->resident.total / (2 * pool->slot_count);

	/*
	 * While somebody waits, nothing goes into a slot for later: he has looked there already
	 * (see take_or_wait()) and would not be woken for it.
	 */
	if (pool->waiting > 0)
		return wanted;
	if (share > REFILL_PAGES)
		share = REFILL_PAGES;
	return share > wanted ? (unsigned int)share : wanted;
}

/* Fill an empty free batch, its slot locked.  False if there is nothing to fill it with. */
static bool refill_locked(struct pool *pool, struct slot *slot, unsigned int wanted)
{
	struct batch *batch = slot->free;
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
		slot->free = batch_pop(&pool->recent);
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

/* Refill the slot and take from it; how many are to be had, up to `most`.  Slot locked. */
static __attribute__((noinline)) unsigned int take_refilled(struct pool *pool, struct slot *slot,
							    unsigned int most, uint64_t *page)
{
	unsigned int n = 0;

	while (n < most) {
		bool more;

		pthread_mutex_lock(&pool->lock);
		more = refill_locked(pool, slot, most - n);
		pthread_mutex_unlock(&pool->lock);
		if (!more)
			break;
		n += take_from(slot->free, most - n, page + n);
	}
	return n;
}

/* Take what can be had without waiting; 0 if nothing. */
static inline unsigned int take_now(struct pool *pool, struct near *near, unsigned int most,
				    uint64_t *page)
{
	struct slot *slot = lock_slot(pool, near->slot);
	unsigned int n = take_from(slot->free, most, page);
	const struct batch *free;

	if (__builtin_expect(n < most, 0))
		n += take_refilled(pool, slot, most - n, page + n);
	free = slot->free;
	near->next = free->taken < free->count ? free->page[free->taken] : 0;
	slot_unlock(slot);
	return n;
}

/* Take pages that were put by in any slot. */
static unsigned int steal(struct pool *pool, unsigned int most, uint64_t *page)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < pool->slot_count && n == 0; i++) {
		struct slot *slot = &pool->slots[i];

		slot_lock(slot);
		n = take_from(slot->free, most, page);
		slot_unlock(slot);
	}
	return n;
}

/* True if some page is free outside the slots. */
static bool some_free_locked(const struct pool *pool)
{
	return pool->resident.total > 0 || pool->recent.count > 0;
}

/* Why no page will come, or 0 if one may. */
static int no_hope_locked(const struct pool *pool, const char *what)
{
	if (atomic_load_explicit(&pool->frozen, memory_order_relaxed))
		return fail(EROFS, "%s: %s: read-only since a failure to persist", what,
			    pool->device->path);
	if (pool->stored + pool->zones.stored.total > pool->admitted || pool->pending > 0 ||
	    pool->populating > 0 || pool->dropping > 0)
		return 0;
	if (pool->absent.total > 0)
		return fail(ENOSPC, "%s: %s: its file system is full: free some space there", what,
			    pool->device->path);
	return fail(ENOSPC,
		    "%s: %s: media errors have used up the spare; copy the disk to another "
		    "device",
		    what, pool->device->path);
}

/*
 * Out of pages.  First say so (pool->waiting), which keeps refills from putting pages by in slots;
 * then look through the slots, which shows what was put by before; then wait for what comes back
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
		*rc = no_hope_locked(pool, what);
		if (*rc == 0) {
			pool_hurry_locked(pool);
			pthread_cond_wait(&pool->freed, &pool->lock);
		}
	}
	pool->waiting--;
	pthread_mutex_unlock(&pool->lock);
	return n;
}

int cache_take(struct pool *pool, unsigned int most, uint64_t *page, struct near *near)
{
	unsigned int n;
	int rc = 0;

	near->slot = near_slot(pool);
	n = take_now(pool, near, most, page);
	while (__builtin_expect(n == 0, 0)) {
		n = take_or_wait(pool, most, page, near->what, &rc);
		if (rc != 0)
			return rc;
		if (n == 0)
			n = take_now(pool, near, most, page);
	}
	return (int)n;
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

/* Hand the slot's full batch over and get it an empty one; slot locked.  False: there is none. */
static __attribute__((noinline)) bool change_retired(struct pool *pool, struct slot *slot)
{
	pthread_mutex_lock(&pool->lock);
	if (slot->retired != NULL)
		batch_push(&pool->full, slot->retired);
	slot->retired = batch_pop(&pool->empty);
	if (pool->empty.count < SHARED_BATCHES / 4)
		pool_hurry_locked(pool);
	if (slot->retired == NULL && pool_spill_locked(pool))
		slot->retired = batch_pop(&pool->empty);
	if (slot->retired != NULL) {
		slot->retired->taken = 0;
		slot->retired->count = 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return slot->retired != NULL;
}

static __attribute__((noinline)) void wake_reclaimer(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	atomic_store_explicit(&pool->armed, true, memory_order_relaxed);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

/* Tell the reclaimer that there is something.  Slot locked. */
static inline void arm(struct pool *pool)
{
	/*
	 * Inside the slot's lock, so that it is ordered against the reclaimer, which clears the
	 * flag before it locks each slot: either it sees what was put in the slot, or this load
	 * sees the flag cleared.
	 */
	if (__builtin_expect(!atomic_load_explicit(&pool->armed, memory_order_relaxed), 0))
		wake_reclaimer(pool);
}

/* Put what fits into the slot's retired batch.  Slot locked. */
static inline unsigned int put_retired(struct slot *slot, const uint64_t *page, unsigned int n)
{
	struct batch *batch = slot->retired;
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
	struct slot *slot = lock_slot(pool, near);
	unsigned int done = 0;

	while (done < n) {
		if (__builtin_expect(slot->retired == NULL || slot->retired->count == BATCH_PAGES,
				     0) &&
		    !change_retired(pool, slot))
			break;
		done += put_retired(slot, page + done, n - done);
	}
	arm(pool);
	slot_unlock(slot);
	return done;
}

void cache_retire(struct pool *pool, const uint64_t *page, unsigned int n)
{
	for (;;) {
		unsigned int done = cache_retire_now(pool, near_slot(pool), page, n);

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

	/* A power of 2, so that a CPU's slot is found without a division. */
	pool->slot_count = 1;
	while (pool->slot_count < SLOTS_MAX && (long)pool->slot_count < cpus)
		pool->slot_count *= 2;
	batches = 2 * pool->slot_count + SHARED_BATCHES;
	pool->batches = calloc(batches, sizeof(pool->batches[0]));
	pool->slots =
		aligned_alloc(_Alignof(struct slot), pool->slot_count * sizeof(pool->slots[0]));
	if (pool->batches == NULL || pool->slots == NULL) {
		pool->slot_count = 0;
		return -ENOMEM;
	}
	for (i = 0; i < batches; i++)
		batch_push(&pool->empty, &pool->batches[i]);
	for (i = 0; i < pool->slot_count; i++) {
		atomic_init(&pool->slots[i].busy, false);
		pool->slots[i].free = batch_pop(&pool->empty);
		pool->slots[i].retired = batch_pop(&pool->empty);
	}
	return 0;
}

void cache_destroy(struct pool *pool)
{
	free(pool->slots);
	free(pool->batches);
}
