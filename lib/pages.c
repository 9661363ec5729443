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

#include "error.h"
#include "layout.h"
#include "pages.h"

#define SLOTS_MAX 64u
/* Batches beside those in slots: pages in grace periods and freshly released. */
#define SHARED_BATCHES 64u
/* A refill for a small write takes this much for later ones. */
#define REFILL_PAGES 64u
/* Absent pages given storage at a time, where the file system has room. */
#define POPULATE_PAGES 512u

static void push(struct batch_list *list, struct batch *batch)
{
	batch->next = list->first;
	list->first = batch;
	list->count++;
}

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

/* ---- promises ------------------------------------------------------------------------------- */

/* Pages with storage that `admitted` blocks need: theirs, and enough to overwrite them. */
static uint64_t storage_for(const struct pages *pages, uint64_t admitted)
{
	return admitted + (pages->spare < admitted ? pages->spare : admitted);
}

/*
 * Give storage to at least one and at most `most` absent pages.  Called with the lock, which it
 * drops around the system call: the pages are in neither set then, so nobody else has them.
 */
static int populate(struct pages *pages, uint64_t most)
{
	uint64_t first, n;
	int rc;

	n = pageset_take(&pages->absent, most, &first);
	if (n == 0)
		return -ENOSPC;
	pthread_mutex_unlock(&pages->lock);
	rc = device_allocate(pages->device, first << LAYOUT_PAGE_SHIFT, n << LAYOUT_PAGE_SHIFT);
	pthread_mutex_lock(&pages->lock);
	if (rc != 0) {
		pageset_add(&pages->absent, first, n);
		return rc;
	}
	pageset_add(&pages->resident, first, n);
	pages->stored += n;
	pthread_cond_broadcast(&pages->freed);
	return 0;
}

/* Give storage to absent pages until `target` have it, in large pieces while there is room. */
static int populate_up_to(struct pages *pages, uint64_t target)
{
	uint64_t piece = POPULATE_PAGES;

	while (pages->stored < target) {
		int rc = populate(pages, piece);

		if (rc == 0)
			continue;
		if (piece == 1 || pages->absent.total == 0)
			return rc;
		piece = piece > 8 ? piece / 8 : 1;
	}
	return 0;
}

int pages_admit(struct pages *pages, uint64_t n, bool wait)
{
	bool alone;
	int rc = 0;

	pthread_mutex_lock(&pages->lock);
	alone = pages->pending == 0;
	/*
	 * Promised before storage is sought, so that two writers cannot both count on the same
	 * page.  The sum cannot overflow: n is the size of a chunk.
	 */
	if (pages->admitted + n + pages->spare > pages->usable) {
		rc = -ENOSPC;
	} else {
		pages->admitted += n;
		pages->pending += n;
		rc = populate_up_to(pages, storage_for(pages, pages->admitted));
		if (rc != 0) {
			pages->admitted -= n;
			pages->pending -= n;
			pthread_cond_broadcast(&pages->settled);
		}
	}
	if (rc != 0 && (!alone || pages->pending > 0)) {
		/*
		 * Whoever is, or was, under way may be mapping these very blocks, freeing others,
		 * or giving up: no reason yet to refuse.
		 */
		if (wait && pages->pending > 0)
			pthread_cond_wait(&pages->settled, &pages->lock);
		rc = -EAGAIN;
	}
	pthread_mutex_unlock(&pages->lock);
	if (rc == -ENOSPC)
		fail(ENOSPC, "write: %s: no page is free for a new block", pages->device->path);
	else if (rc != 0 && rc != -EAGAIN)
		fail_errno(-rc, "write: %s: storage for a new block", pages->device->path);
	return rc;
}

/* With the lock: `pending` or `admitted` has fallen. */
static void settled(struct pages *pages)
{
	pthread_cond_broadcast(&pages->settled);
	/* A writer may now see that no page will ever come. */
	if (pages->waiting > 0)
		pthread_cond_broadcast(&pages->freed);
}

void pages_settle(struct pages *pages, uint64_t n, uint64_t bound)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&pages->lock);
	pages->pending -= n;
	pages->admitted -= n - bound;
	settled(pages);
	pthread_mutex_unlock(&pages->lock);
}

void pages_unmap_begin(struct pages *pages)
{
	pthread_mutex_lock(&pages->lock);
	pages->pending++;
	pthread_mutex_unlock(&pages->lock);
}

void pages_unmap_end(struct pages *pages, uint64_t unmapped)
{
	pthread_mutex_lock(&pages->lock);
	pages->pending--;
	pages->admitted -= unmapped;
	settled(pages);
	pthread_mutex_unlock(&pages->lock);
}

/* ---- taking and giving back ----------------------------------------------------------------- */

/* Lock the slot of this CPU, or, while somebody is in it, the next one that is free. */
static struct slot *lock_slot(struct pages *pages)
{
	int cpu = sched_getcpu();
	unsigned int own = cpu < 0 ? 0 : (unsigned int)cpu % pages->slot_count;
	unsigned int i = own;

	do {
		if (pthread_mutex_trylock(&pages->slots[i].lock) == 0)
			return &pages->slots[i];
		i = i + 1 == pages->slot_count ? 0 : i + 1;
	} while (i != own);
	pthread_mutex_lock(&pages->slots[own].lock);
	return &pages->slots[own];
}

static unsigned int take_from(struct batch *batch, unsigned int most, uint64_t *page)
{
	unsigned int n = batch->count - batch->taken;

	if (n > most)
		n = most;
	memcpy(page, &batch->page[batch->taken], n * sizeof(page[0]));
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

	if (pages->recent.count > 0 && pages->waiting == 0) {
		push(&pages->empty, batch);
		slot->free = pop(&pages->recent);
		return true;
	}
	batch->taken = 0;
	batch->count = 0;
	if (pages->recent.count > 0) {
		struct batch *recent = pages->recent.first;

		batch->count = take_from(recent, most, batch->page);
		if (recent->taken == recent->count)
			push(&pages->empty, pop(&pages->recent));
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
	/* Ask for the retired ones before they are needed. */
	if (pages->recent.count == 0 && pages->resident.total < pages->spare / 4)
		reclaim_hurry(pages);
	return batch->count > 0;
}

/* Take what can be had without waiting; 0 if nothing. */
static unsigned int take_now(struct pages *pages, unsigned int most, uint64_t *page)
{
	struct slot *slot = lock_slot(pages);
	unsigned int n = take_from(slot->free, most, page);

	while (n < most) {
		bool more;

		pthread_mutex_lock(&pages->lock);
		more = refill(pages, slot, most - n);
		pthread_mutex_unlock(&pages->lock);
		if (!more)
			break;
		n += take_from(slot->free, most - n, page + n);
	}
	pthread_mutex_unlock(&slot->lock);
	return n;
}

/* Take pages that were put by in any slot. */
static unsigned int steal(struct pages *pages, unsigned int most, uint64_t *page)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < pages->slot_count && n == 0; i++) {
		struct slot *slot = &pages->slots[i];

		pthread_mutex_lock(&slot->lock);
		n = take_from(slot->free, most, page);
		pthread_mutex_unlock(&slot->lock);
	}
	return n;
}

/* With the lock: true if some page is free outside the slots. */
static bool some_free(const struct pages *pages)
{
	return pages->resident.total > 0 || pages->recent.count > 0;
}

/*
 * Out of pages.  First say so (pages->waiting), which keeps refills from putting pages by in slots;
 * then look through the slots, which shows what was put by before; then wait for what comes back
 * to the shared lists.  In another order a page could be put by between the look and the wait, and
 * the wait would not end.
 */
static unsigned int take_or_wait(struct pages *pages, unsigned int most, uint64_t *page, int *rc)
{
	unsigned int n;

	pthread_mutex_lock(&pages->lock);
	pages->waiting++;
	/* A page more, where the file system has one, is sooner had than a grace period. */
	if (!some_free(pages))
		populate(pages, POPULATE_PAGES);
	pthread_mutex_unlock(&pages->lock);

	n = steal(pages, most, page);

	pthread_mutex_lock(&pages->lock);
	if (n == 0 && !some_free(pages)) {
		if (pages->stored <= pages->admitted && pages->pending == 0) {
			/* Only media errors can use up what is promised to overwrites. */
			*rc = -ENOSPC;
		} else {
			reclaim_hurry(pages);
			pthread_cond_wait(&pages->freed, &pages->lock);
		}
	}
	pages->waiting--;
	pthread_mutex_unlock(&pages->lock);
	return n;
}

int pages_take(struct pages *pages, unsigned int most, uint64_t *page)
{
	unsigned int n = take_now(pages, most, page);
	int rc = 0;

	while (n == 0) {
		n = take_or_wait(pages, most, page, &rc);
		if (rc != 0)
			return fail(-rc,
				    "write: %s: media errors have used up the spare; copy the "
				    "disk to another device",
				    pages->device->path);
		if (n == 0)
			n = take_now(pages, most, page);
	}
	return (int)n;
}

void pages_put(struct pages *pages, const uint64_t *page, unsigned int n)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&pages->lock);
	for (unsigned int i = 0; i < n; i++) {
		if (bitmap_test(pages->bad, page[i] - pages->first)) {
			pages->bad_count++;
			pages->usable--;
			pages->stored--;
		} else {
			pageset_add(&pages->resident, page[i], 1);
		}
	}
	pthread_cond_broadcast(&pages->freed);
	pthread_mutex_unlock(&pages->lock);
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

/* Hand the slot's full batch over and get it an empty one; slot locked.  False: there is none. */
static bool change_retired(struct pages *pages, struct slot *slot)
{
	pthread_mutex_lock(&pages->lock);
	if (slot->retired != NULL) {
		push(&pages->full, slot->retired);
		reclaim_hurry(pages);
	}
	slot->retired = pop(&pages->empty);
	if (slot->retired == NULL && pages->recent.count > 0) {
		/* Make one empty. */
		struct batch *batch = pop(&pages->recent);

		for (uint32_t i = batch->taken; i < batch->count; i++)
			pageset_add(&pages->resident, batch->page[i], 1);
		pthread_cond_broadcast(&pages->freed);
		slot->retired = batch;
	}
	if (slot->retired != NULL) {
		slot->retired->taken = 0;
		slot->retired->count = 0;
	}
	pthread_mutex_unlock(&pages->lock);
	return slot->retired != NULL;
}

/* Tell the reclaimer that there is something.  Slot locked. */
static void arm(struct pages *pages)
{
	/*
	 * Inside the slot's lock, so that it is ordered against the reclaimer, which clears the
	 * flag before it locks each slot: either it sees what was put in the slot, or this load
	 * sees the flag cleared.
	 */
	if (atomic_load_explicit(&pages->armed, memory_order_relaxed))
		return;
	pthread_mutex_lock(&pages->lock);
	atomic_store_explicit(&pages->armed, true, memory_order_relaxed);
	pthread_cond_signal(&pages->work);
	pthread_mutex_unlock(&pages->lock);
}

void pages_retire(struct pages *pages, const uint64_t *page, unsigned int n)
{
	while (n > 0) {
		struct slot *slot = lock_slot(pages);
		bool room = true;

		if (slot->retired == NULL || slot->retired->count == BATCH_PAGES)
			room = change_retired(pages, slot);
		if (room) {
			struct batch *batch = slot->retired;
			unsigned int some = BATCH_PAGES - batch->count;

			if (some > n)
				some = n;
			memcpy(&batch->page[batch->count], page, some * sizeof(page[0]));
			batch->count += some;
			page += some;
			n -= some;
		}
		arm(pages);
		pthread_mutex_unlock(&slot->lock);
		if (!room) {
			/* All batches are in grace periods: wait for one. */
			pthread_mutex_lock(&pages->lock);
			if (pages->empty.count == 0 && pages->recent.count == 0) {
				reclaim_hurry(pages);
				pthread_cond_wait(&pages->freed, &pages->lock);
			}
			pthread_mutex_unlock(&pages->lock);
		}
	}
}

/* ---- open and close ------------------------------------------------------------------------- */

static int make_slots(struct pages *pages)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	unsigned int i, batches;

	pages->slot_count = cpus < 1 ? 1 : cpus > SLOTS_MAX ? SLOTS_MAX : (unsigned int)cpus;
	batches = 2 * pages->slot_count + SHARED_BATCHES;
	pages->batches = calloc(batches, sizeof(pages->batches[0]));
	pages->slots =
		aligned_alloc(_Alignof(struct slot), pages->slot_count * sizeof(pages->slots[0]));
	if (pages->batches == NULL || pages->slots == NULL) {
		pages->slot_count = 0;
		return -ENOMEM;
	}
	for (i = 0; i < batches; i++)
		push(&pages->empty, &pages->batches[i]);
	for (i = 0; i < pages->slot_count; i++) {
		pthread_mutex_init(&pages->slots[i].lock, NULL);
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
	       const _Atomic uint64_t *named, uint64_t used)
{
	int rc;

	*pages = (struct pages){
		.device = device,
		.first = super_data_start(super),
		.count = super_data_pages(super),
		.usable = super_data_pages(super),
		.spare = super->spare_pages,
		.admitted = used,
	};
	pthread_mutex_init(&pages->lock, NULL);
	pthread_cond_init(&pages->freed, NULL);
	pthread_cond_init(&pages->settled, NULL);
	pthread_cond_init(&pages->work, NULL);
	pages->bad = bitmap_new(pages->count);
	rc = pages->bad == NULL ? -ENOMEM : make_slots(pages);
	if (rc == 0)
		rc = pageset_init(&pages->resident, pages->first, pages->count);
	if (rc == 0)
		rc = pageset_init(&pages->absent, pages->first, pages->count);
	if (rc != 0) {
		pages_close(pages);
		return fail(ENOMEM, "open: %s: out of memory for the free pages", device->path);
	}
	sort_pages(pages, named);
	pthread_mutex_lock(&pages->lock);
	rc = populate_up_to(pages, storage_for(pages, used));
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
	for (unsigned int i = 0; i < pages->slot_count; i++)
		pthread_mutex_destroy(&pages->slots[i].lock);
	free(pages->slots);
	free(pages->batches);
	free((void *)pages->bad);
	pageset_destroy(&pages->resident);
	pageset_destroy(&pages->absent);
	pthread_mutex_destroy(&pages->lock);
	pthread_cond_destroy(&pages->freed);
	pthread_cond_destroy(&pages->settled);
	pthread_cond_destroy(&pages->work);
	pages->device = NULL;
}
