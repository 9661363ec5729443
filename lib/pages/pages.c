/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages.c - hand out free pages and keep the promises about them.  See pages.h.
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
#include "media/layout.h"
#include "pages/pages.h"

#define SLOTS_MAX 64u
/* Batches beside those in slots: pages in grace periods and freshly released. */
#define SHARED_BATCHES 64u
/* A refill for a small write takes this much for later ones. */
#define REFILL_PAGES 64u

static struct batch *pop(struct batch_list *list)
{
	struct batch *batch = list->first;

	if (batch != NULL) {
		list->first = batch->next;
		list->count--;
		batch->next = NULL;
	}
	return batch;
}

/* ---- taking and giving back ----------------------------------------------------------------- */

static inline unsigned int near_slot(const struct pages *pages)
{
	int cpu = sched_getcpu();

	/* slot_count is a power of 2; a CPU that cannot be told is as good as any. */
	return (unsigned int)cpu & (pages->slot_count - 1);
}

/* Lock any slot but this one first. */
static __attribute__((noinline)) struct slot *lock_other_slot(struct pages *pages, unsigned int i)
{
	unsigned int tried = 1;

	do {
		i = (i + 1) & (pages->slot_count - 1);
		if (tried++ % pages->slot_count == 0)
			sched_yield();
	} while (!slot_trylock(&pages->slots[i]));
	return &pages->slots[i];
}

/* Lock the slot of this CPU, or, while somebody is in it, another. */
static inline struct slot *lock_slot(struct pages *pages, unsigned int i)
{
	struct slot *slot = &pages->slots[i];

	return __builtin_expect(slot_trylock(slot), 1) ? slot : lock_other_slot(pages, i);
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
static unsigned int refill_size(const struct pages *pages, unsigned int wanted)
{
	uint64_t share = pages->resident.total / (2 * pages->slot_count);

	/*
	 * While somebody waits, nothing goes into a slot for later: he has looked there already
	 * (see take_or_wait()) and would not be woken for it.
	 */
	if (pages->waiting > 0)
		return wanted;
	if (share > REFILL_PAGES)
		share = REFILL_PAGES;
	return share > wanted ? (unsigned int)share : wanted;
}

/* Fill an empty free batch; both locks held.  False if there is nothing to fill it with. */
static bool refill(struct pages *pages, struct slot *slot, unsigned int wanted)
{
	struct batch *batch = slot->free;
	unsigned int most = refill_size(pages, wanted);
	uint64_t first, n;

	/*
	 * Ask for the retired pages before they are needed; but late, for a grace period interrupts
	 * every processor that writes, and so the fewer serve for the same pages.
	 */
	if (pages->resident.total + pages->recent.count * BATCH_PAGES <= pages->spare / 8)
		reclaim_hurry(pages);
	if (pages->recent.count > 0 && pages->waiting == 0) {
		batch_push(&pages->empty, batch);
		slot->free = pop(&pages->recent);
		return true;
	}
	batch->taken = 0;
	batch->count = 0;
	if (pages->recent.count > 0) {
		struct batch *recent = pages->recent.first;

		batch->count = take_from(recent, most, batch->page);
		if (recent->taken == recent->count)
			batch_push(&pages->empty, pop(&pages->recent));
		return true;
	}
	while (batch->count < most && batch->count < BATCH_PAGES) {
		n = most - batch->count;
		if (n > BATCH_PAGES - batch->count)
			n = BATCH_PAGES - batch->count;
		n = pageset_take(&pages->resident, n, &first);
		if (n == 0)
			break;
		for (uint64_t i = 0; i < n; i++)
			batch->page[batch->count++] = first + i;
	}
	return batch->count > 0;
}

/* Refill the slot and take from it; how many are to be had, up to `most`.  Slot locked. */
static __attribute__((noinline)) unsigned int take_refilled(struct pages *pages, struct slot *slot,
							    unsigned int most, uint64_t *page)
{
	unsigned int n = 0;

	while (n < most) {
		bool more;

		pthread_mutex_lock(&pages->lock);
		more = refill(pages, slot, most - n);
		pthread_mutex_unlock(&pages->lock);
		if (!more)
			break;
		n += take_from(slot->free, most - n, page + n);
	}
	return n;
}

/* Take what can be had without waiting; 0 if nothing. */
static inline unsigned int take_now(struct pages *pages, struct near *near, unsigned int most,
				    uint64_t *page)
{
	struct slot *slot = lock_slot(pages, near->slot);
	unsigned int n = take_from(slot->free, most, page);
	const struct batch *free;

	if (__builtin_expect(n < most, 0))
		n += take_refilled(pages, slot, most - n, page + n);
	free = slot->free;
	near->next = free->taken < free->count ? free->page[free->taken] : 0;
	slot_unlock(slot);
	return n;
}

/* Take pages that were put by in any slot. */
static unsigned int steal(struct pages *pages, unsigned int most, uint64_t *page)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < pages->slot_count && n == 0; i++) {
		struct slot *slot = &pages->slots[i];

		slot_lock(slot);
		n = take_from(slot->free, most, page);
		slot_unlock(slot);
	}
	return n;
}

/* With the lock: true if some page is free outside the slots. */
static bool some_free(const struct pages *pages)
{
	return pages->resident.total > 0 || pages->recent.count > 0;
}

/* With the lock: why no page will come, or 0 if one may. */
static int no_hope(const struct pages *pages, const char *what)
{
	if (atomic_load_explicit(&pages->frozen, memory_order_relaxed))
		return fail(EROFS, "%s: %s: read-only since a failure to persist", what,
			    pages->device->path);
	if (pages->stored + pages->zones.stored.total > pages->admitted || pages->pending > 0 ||
	    pages->populating > 0 || pages->dropping > 0)
		return 0;
	if (pages->absent.total > 0)
		return fail(ENOSPC, "%s: %s: its file system is full: free some space there", what,
			    pages->device->path);
	return fail(ENOSPC,
		    "%s: %s: media errors have used up the spare; copy the disk to another "
		    "device",
		    what, pages->device->path);
}

/*
 * Out of pages.  First say so (pages->waiting), which keeps refills from putting pages by in slots;
 * then look through the slots, which shows what was put by before; then wait for what comes back
 * to the shared lists.  In another order a page could be put by between the look and the wait, and
 * the wait would not end.
 */
static __attribute__((noinline)) unsigned int
take_or_wait(struct pages *pages, unsigned int most, uint64_t *page, const char *what, int *rc)
{
	unsigned int n;
	int more = 0;

	pthread_mutex_lock(&pages->lock);
	pages->waiting++;
	/* A page more, where the file system has one, is sooner had than a grace period. */
	if (!some_free(pages))
		more = pages_populate_more(pages);
	/* And writers come before those who want whole zones. */
	if (!some_free(pages))
		zones_end(pages);
	pthread_mutex_unlock(&pages->lock);

	n = steal(pages, most, page);

	pthread_mutex_lock(&pages->lock);
	/* If there were more, and others have them by now: look again before giving up. */
	if (n == 0 && !some_free(pages) && more <= 0) {
		*rc = no_hope(pages, what);
		if (*rc == 0) {
			reclaim_hurry(pages);
			pthread_cond_wait(&pages->freed, &pages->lock);
		}
	}
	pages->waiting--;
	pthread_mutex_unlock(&pages->lock);
	return n;
}

int pages_take(struct pages *pages, unsigned int most, uint64_t *page, struct near *near)
{
	unsigned int n;
	int rc = 0;

	near->slot = near_slot(pages);
	n = take_now(pages, near, most, page);
	while (__builtin_expect(n == 0, 0)) {
		n = take_or_wait(pages, most, page, near->what, &rc);
		if (rc != 0)
			return rc;
		if (n == 0)
			n = take_now(pages, near, most, page);
	}
	return (int)n;
}

void pages_free_run(struct pages *pages, uint64_t first, uint64_t n)
{
	for (uint64_t page = first; page < first + n; page++) {
		if (bitmap_test(pages->bad, page - pages->first)) {
			pages->bad_count++;
			pages->usable--;
			pages->stored--;
		} else if (zones_draining(pages, page)) {
			pages->stored--;
			pageset_add(&pages->zones.stored, page, 1);
		} else {
			pageset_add(&pages->resident, page, 1);
		}
	}
	pthread_cond_broadcast(&pages->freed);
}

void pages_absent_run(struct pages *pages, uint64_t first, uint64_t n)
{
	for (uint64_t page = first; page < first + n; page++)
		pageset_add(zones_draining(pages, page) ? &pages->zones.holes : &pages->absent,
			    page, 1);
}

void pages_put(struct pages *pages, const uint64_t *page, unsigned int n)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&pages->lock);
	for (unsigned int i = 0; i < n; i++)
		pages_free_run(pages, page[i], 1);
	pthread_mutex_unlock(&pages->lock);
}

unsigned int pages_empty_slots(struct pages *pages)
{
	uint64_t page[BATCH_PAGES];
	unsigned int n, total = 0;

	while ((n = steal(pages, BATCH_PAGES, page)) > 0) {
		pages_put(pages, page, n);
		total += n;
	}
	return total;
}

void pages_mark_bad(struct pages *pages, uint64_t page)
{
	if (page - pages->first >= pages->count)
		return;
	bitmap_set(pages->bad, page - pages->first);
	/* After the bit: whoever sees this looks at the bits. */
	atomic_store_explicit(&pages->any_bad, true, memory_order_release);
}

/* ---- retiring ------------------------------------------------------------------------------- */

bool pages_spill(struct pages *pages)
{
	struct batch *batch = pop(&pages->recent);

	if (batch == NULL)
		return false;
	for (uint32_t i = batch->taken; i < batch->count; i++)
		pages_free_run(pages, batch->page[i], 1);
	batch_push(&pages->empty, batch);
	return true;
}

/* Hand the slot's full batch over and get it an empty one; slot locked.  False: there is none. */
static __attribute__((noinline)) bool change_retired(struct pages *pages, struct slot *slot)
{
	pthread_mutex_lock(&pages->lock);
	if (slot->retired != NULL)
		batch_push(&pages->full, slot->retired);
	slot->retired = pop(&pages->empty);
	if (pages->empty.count < SHARED_BATCHES / 4)
		reclaim_hurry(pages);
	if (slot->retired == NULL && pages_spill(pages))
		slot->retired = pop(&pages->empty);
	if (slot->retired != NULL) {
		slot->retired->taken = 0;
		slot->retired->count = 0;
	}
	pthread_mutex_unlock(&pages->lock);
	return slot->retired != NULL;
}

static __attribute__((noinline)) void wake_reclaimer(struct pages *pages)
{
	pthread_mutex_lock(&pages->lock);
	atomic_store_explicit(&pages->armed, true, memory_order_relaxed);
	pthread_cond_signal(&pages->work);
	pthread_mutex_unlock(&pages->lock);
}

/* Tell the reclaimer that there is something.  Slot locked. */
static inline void arm(struct pages *pages)
{
	/*
	 * Inside the slot's lock, so that it is ordered against the reclaimer, which clears the
	 * flag before it locks each slot: either it sees what was put in the slot, or this load
	 * sees the flag cleared.
	 */
	if (__builtin_expect(!atomic_load_explicit(&pages->armed, memory_order_relaxed), 0))
		wake_reclaimer(pages);
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

unsigned int pages_retire_now(struct pages *pages, unsigned int near, const uint64_t *page,
			      unsigned int n)
{
	struct slot *slot = lock_slot(pages, near);
	unsigned int done = 0;

	while (done < n) {
		if (__builtin_expect(slot->retired == NULL || slot->retired->count == BATCH_PAGES,
				     0) &&
		    !change_retired(pages, slot))
			break;
		done += put_retired(slot, page + done, n - done);
	}
	arm(pages);
	slot_unlock(slot);
	return done;
}

void pages_retire(struct pages *pages, const uint64_t *page, unsigned int n)
{
	for (;;) {
		unsigned int done = pages_retire_now(pages, near_slot(pages), page, n);

		page += done;
		n -= done;
		if (n == 0)
			break;
		/* All batches are in grace periods: wait for one. */
		pthread_mutex_lock(&pages->lock);
		if (pages->empty.count == 0 && pages->recent.count == 0) {
			reclaim_hurry(pages);
			pthread_cond_wait(&pages->freed, &pages->lock);
		}
		pthread_mutex_unlock(&pages->lock);
	}
}

void pages_freeze(struct pages *pages)
{
	/*
	 * Relaxed: the grace period that the reclaimer waits for before it looks orders the caller's
	 * section, and so this store, before the look.
	 */
	atomic_store_explicit(&pages->frozen, true, memory_order_relaxed);
}

/* ---- open and close ------------------------------------------------------------------------- */

static int make_slots(struct pages *pages)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	unsigned int i, batches;

	/* A power of 2, so that a CPU's slot is found without a division. */
	pages->slot_count = 1;
	while (pages->slot_count < SLOTS_MAX && (long)pages->slot_count < cpus)
		pages->slot_count *= 2;
	batches = 2 * pages->slot_count + SHARED_BATCHES;
	pages->batches = calloc(batches, sizeof(pages->batches[0]));
	pages->slots =
		aligned_alloc(_Alignof(struct slot), pages->slot_count * sizeof(pages->slots[0]));
	if (pages->batches == NULL || pages->slots == NULL) {
		pages->slot_count = 0;
		return -ENOMEM;
	}
	for (i = 0; i < batches; i++)
		batch_push(&pages->empty, &pages->batches[i]);
	for (i = 0; i < pages->slot_count; i++) {
		atomic_init(&pages->slots[i].busy, false);
		pages->slots[i].free = pop(&pages->empty);
		pages->slots[i].retired = pop(&pages->empty);
	}
	return 0;
}

/* Put every data page that no entry names into the set, in runs. */
static void add_unnamed(struct pages *pages, struct pageset *set, uint64_t from, uint64_t to,
			const _Atomic uint64_t *named)
{
	uint64_t start;

	while (from < to) {
		while (from < to && bitmap_test(named, from - pages->first))
			from++;
		start = from;
		while (from < to && !bitmap_test(named, from - pages->first))
			from++;
		if (from > start)
			pageset_add(set, start, from - start);
	}
}

/* Sort all data pages into the sets. */
static void sort_pages(struct pages *pages, const _Atomic uint64_t *named)
{
	uint64_t at = pages->first;
	uint64_t limit = pages->first + pages->count;
	uint64_t start, end;

	while (device_next_data(pages->device, at << LAYOUT_PAGE_SHIFT, limit << LAYOUT_PAGE_SHIFT,
				&start, &end)) {
		/* A page that is data only in part counts as data. */
		start >>= LAYOUT_PAGE_SHIFT;
		end = (end + LAYOUT_PAGE_SIZE - 1) >> LAYOUT_PAGE_SHIFT;
		add_unnamed(pages, &pages->absent, at, start, named);
		add_unnamed(pages, &pages->resident, start, end, named);
		at = end;
	}
	add_unnamed(pages, &pages->absent, at, limit, named);
	pages->stored = pages->usable - pages->absent.total;
}

int pages_open(struct pages *pages, const struct device *device, const struct super *super,
	       const _Atomic uint64_t *named, uint64_t used, uint64_t bad)
{
	int rc;

	*pages = (struct pages){
		.device = device,
		.first = super_data_start(super),
		.count = super_data_pages(super),
		.usable = super_data_pages(super) - bad,
		.bad_count = bad,
		.spare = super->spare_pages,
		.admitted = used,
	};
	pthread_mutex_init(&pages->lock, NULL);
	pthread_cond_init(&pages->freed, NULL);
	pthread_cond_init(&pages->settled, NULL);
	pthread_cond_init(&pages->work, NULL);
	memory_init(pages);
	pages->bad = bitmap_new(pages->count);
	rc = pages->bad == NULL ? -ENOMEM : make_slots(pages);
	if (rc == 0)
		rc = pageset_init(&pages->resident, pages->first, pages->count);
	if (rc == 0)
		rc = pageset_init(&pages->absent, pages->first, pages->count);
	if (rc == 0)
		rc = pageset_init(&pages->lent, pages->first, pages->count);
	if (rc == 0)
		rc = zones_init(pages);
	if (rc != 0) {
		pages_close(pages);
		return fail(ENOMEM, "open: %s: out of memory for the free pages", device->path);
	}
	sort_pages(pages, named);
	rc = zones_adopt(pages);
	if (rc != 0) {
		pages_close(pages);
		return rc;
	}
	pthread_mutex_lock(&pages->lock);
	rc = pages_populate_for(pages, used);
	if (rc != 0 && pages_find_storage(pages, used))
		rc = 0;
	/* All there is has storage: bad pages have taken from the spare. */
	if (rc == -ENOSPC && pages->absent.total == 0)
		rc = 0;
	pthread_mutex_unlock(&pages->lock);
	if (rc != 0) {
		pages_close(pages);
		return fail(-rc,
			    "open: %s: its file system has no room for the spare pages that "
			    "overwrites need; make room, or open it read-only",
			    device->path);
	}
	return 0;
}

void pages_close(struct pages *pages)
{
	if (pages->device == NULL)
		return;
	free(pages->slots);
	free(pages->batches);
	free((void *)pages->bad);
	pageset_destroy(&pages->resident);
	pageset_destroy(&pages->absent);
	pageset_destroy(&pages->lent);
	zones_destroy(pages);
	memory_destroy(pages);
	pthread_mutex_destroy(&pages->lock);
	pthread_cond_destroy(&pages->freed);
	pthread_cond_destroy(&pages->settled);
	pthread_cond_destroy(&pages->work);
	pages->device = NULL;
}
