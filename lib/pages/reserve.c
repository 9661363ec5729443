/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * promises.c - who may have a new page: the counts that keep overwrites from ever failing.
 *
 * A block without a page is admitted only while that leaves the spare, so that a block that has one
 * can always be overwritten: the NBD specification makes this a duty, for an extent that is
 * reported as allocated.  On a file with holes it also takes storage: as much as the admitted
 * blocks have pages, and for the pages that their overwrites pass through, up to the spare; so a
 * full file system stops new blocks and nothing else.
 *
 * If it is lent memory that stands in the way, it is asked back first (memory.c), and the request
 * waits for the answer, or for the time that the answer may take.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "media/layout.h"
#include "pages/pages.h"

int pages_populate(struct pages *pages, uint64_t most)
{
	uint64_t first, n;
	int rc;

	n = pageset_take(&pages->absent, most, &first);
	if (n == 0)
		return -ENOSPC;
	/* In neither set, so that nobody else has them meanwhile. */
	pages->populating += n;
	pthread_mutex_unlock(&pages->lock);
	rc = device_allocate(pages->device, first << LAYOUT_PAGE_SHIFT, n << LAYOUT_PAGE_SHIFT);
	pthread_mutex_lock(&pages->lock);
	pages->populating -= n;
	if (rc == 0) {
		pages->stored += n;
		pages_free_run(pages, first, n);
	} else {
		pages_absent_run(pages, first, n);
		pthread_cond_broadcast(&pages->freed);
	}
	return rc;
}

int pages_populate_for(struct pages *pages, uint64_t admitted)
{
	uint64_t target = pages_storage_for(pages, admitted);
	/* In large pieces, while the file system has room for such. */
	uint64_t largest = POPULATE_PAGES;

	while (pages->stored < target) {
		uint64_t soon = pages->stored + pages->populating;
		uint64_t n;
		int rc;

		if (soon >= target ||
		    (pages->absent.total == 0 && pages->populating + pages->dropping > 0)) {
			/* Others have enough, or the last of them, in hand. */
			pthread_cond_wait(&pages->freed, &pages->lock);
			continue;
		}
		/* Half of what may be kept: what comes and goes is then not dropped at once. */
		n = target - soon + memory_may_keep(pages) / 2;
		rc = pages_populate(pages, n < largest ? n : largest);
		if (rc == 0)
			continue;
		if (largest == 1 || pages->absent.total == 0)
			return rc;
		largest = largest > 8 ? largest / 8 : 1;
	}
	return 0;
}

/*
 * Free pages that were given storage and never written look like holes (SEEK_DATA), so they were
 * taken for absent ones at open.  Where the file system is full these are the ones that storage can
 * be given to, and only asking for each tells which they are.
 */
bool pages_find_storage(struct pages *pages, uint64_t admitted)
{
	uint64_t target = pages_storage_for(pages, admitted);
	uint64_t limit = pages->first + pages->count;

	if (device_storage(pages->device) >> LAYOUT_PAGE_SHIFT < target)
		return false;
	for (uint64_t page = pages->first; page < limit && pages->stored < target; page++) {
		if (!pageset_has(&pages->absent, page) ||
		    device_allocate(pages->device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE) !=
			    0)
			continue;
		pageset_remove(&pages->absent, page, 1);
		pages->stored++;
		pages_free_run(pages, page, 1);
	}
	return pages->stored >= target;
}

int pages_populate_more(struct pages *pages)
{
	uint64_t most = pages_storage_for(pages, pages->admitted) + memory_may_keep(pages);
	int rc;

	if (pages->absent.total == 0 && pages->populating + pages->dropping > 0) {
		/* Others have the last of them in hand, and may leave some. */
		pthread_cond_wait(&pages->freed, &pages->lock);
		return 1;
	}
	if (pages->stored + pages->populating > most)
		return 0;
	/* One at least, for the first block of an empty device. */
	most = most - pages->stored - pages->populating + 1;
	if (most > POPULATE_PAGES)
		most = POPULATE_PAGES;
	/* A file system that is nearly full may still have a few. */
	while ((rc = pages_populate(pages, most)) == -ENOSPC && most > 1 && pages->absent.total > 0)
		most = most > 8 ? most / 8 : 1;
	return rc == 0 ? 1 : rc;
}

static bool fits(const struct pages *pages, uint64_t n)
{
	/* The sums cannot overflow: n is the size of a chunk. */
	return pages->admitted + n + pages->spare + pages->lent.total <= pages->usable;
}

/* Say who has the pages that `n` new blocks would need.  With the lock. */
static void fail_full(const struct pages *pages, const char *what)
{
	const struct memory *memory = &pages->memory;
	char lent[96] = "", bad[64] = "";

	if (pages->lent.total > 0 && memory_can_ask(memory))
		snprintf(lent, sizeof(lent), ", %llu lent as memory and not given back in %u s",
			 (unsigned long long)pages->lent.total,
			 (memory->user.timeout_ms + 999) / 1000);
	else if (pages->lent.total > 0)
		snprintf(lent, sizeof(lent), ", %llu lent as memory",
			 (unsigned long long)pages->lent.total);
	if (pages->bad_count > 0)
		snprintf(bad, sizeof(bad), ", %llu quarantined after media errors",
			 (unsigned long long)pages->bad_count);
	fail(ENOSPC,
	     "%s: %s: no page is free for a new block: of %llu, %llu are used, %llu spare%s%s: "
	     "trim what is not needed",
	     what, pages->device->path, (unsigned long long)pages->count,
	     (unsigned long long)pages->admitted, (unsigned long long)pages->spare, lent, bad);
}

static void fail_admit(const struct pages *pages, uint64_t n, int err, const char *what)
{
	if (err != -ENOSPC)
		fail_errno(-err, "%s: %s: storage for a new block", what, pages->device->path);
	else if (!fits(pages, n))
		fail_full(pages, what);
	else
		fail(ENOSPC,
		     "%s: %s: no storage for a new block: its file system is full: free some "
		     "space there",
		     what, pages->device->path);
}

/* Promise pages to `n` blocks, with storage; the lock is held.  0, or -errno without message. */
static int admit(struct pages *pages, uint64_t n)
{
	int rc;

	if (!fits(pages, n))
		return -ENOSPC;
	/*
	 * Promised before storage is sought, so that two writers cannot both count on the same
	 * page.
	 */
	pages->admitted += n;
	pages->pending += n;
	rc = pages_populate_for(pages, pages->admitted);
	if (rc != 0 && pages->zones.count > 0) {
		/* Draining zones have storage, and new blocks come before whole zones. */
		zones_end(pages);
		rc = pages_populate_for(pages, pages->admitted);
	}
	if (rc != 0) {
		pages->admitted -= n;
		pages->pending -= n;
		pthread_cond_broadcast(&pages->settled);
	}
	return rc;
}

int pages_admit(struct pages *pages, uint64_t n, struct admission *admission)
{
	bool alone;
	int rc;

	pthread_mutex_lock(&pages->lock);
	alone = pages->pending == 0;
	rc = admit(pages, n);
	/*
	 * Whoever is under way, or was since the caller looked, may map these very blocks, free
	 * others, or give up: no reason yet to refuse.
	 */
	if (rc != 0 && (!alone || pages->pending > 0 || admission->changes != pages->changes))
		rc = -EAGAIN;
	else if (rc == -ENOSPC && memory_ask(pages, n, admission))
		rc = -EAGAIN;
	/* There is less room, and what was given storage may be more than is kept. */
	memory_changed(pages);
	if (rc != 0 && rc != -EAGAIN)
		fail_admit(pages, n, rc, admission->what);
	pthread_mutex_unlock(&pages->lock);
	return rc;
}

int64_t pages_drop_storage(struct pages *pages, uint64_t most)
{
	uint64_t need = pages_storage_for(pages, pages->admitted);
	uint64_t first, n;
	int rc;

	if (pages->stored <= need)
		return 0;
	if (most > pages->stored - need)
		most = pages->stored - need;
	n = pageset_take_back(&pages->resident, most, &first);
	if (n == 0)
		return 0;
	/* In neither set, so that nobody else has them meanwhile. */
	pages->stored -= n;
	pages->dropping += n;
	pthread_mutex_unlock(&pages->lock);
	rc = device_drop(pages->device, first << LAYOUT_PAGE_SHIFT, n << LAYOUT_PAGE_SHIFT);
	pthread_mutex_lock(&pages->lock);
	pages->dropping -= n;
	if (rc == 0) {
		pages_absent_run(pages, first, n);
		pthread_cond_broadcast(&pages->freed);
	} else {
		pages->stored += n;
		pages_free_run(pages, first, n);
	}
	return rc == 0 ? (int64_t)n : rc;
}

int pages_cede_storage(struct pages *pages)
{
	int64_t n;

	pthread_mutex_lock(&pages->lock);
	if (pages->resident.total == 0)
		pages_spill(pages);
	n = pages_drop_storage(pages, 1);
	pthread_mutex_unlock(&pages->lock);
	return n > 0 ? 0 : -ENOSPC;
}

void pages_wait_settled(struct pages *pages, const struct admission *admission)
{
	pthread_mutex_lock(&pages->lock);
	if (memory_asking(pages, admission) && pages->memory.reclaimed == admission->seen)
		pthread_cond_clockwait(&pages->settled, &pages->lock, CLOCK_MONOTONIC,
				       &admission->until);
	else if (pages->pending > 0)
		pthread_cond_wait(&pages->settled, &pages->lock);
	pthread_mutex_unlock(&pages->lock);
}

/* With the lock: `pending` or `admitted` has fallen. */
static void settled(struct pages *pages)
{
	/* Release: see pages_changes(). */
	atomic_fetch_add_explicit(&pages->changes, 1, memory_order_release);
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
	memory_changed(pages);
	pthread_mutex_unlock(&pages->lock);
}
