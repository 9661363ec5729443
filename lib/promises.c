/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * promises.c - who may have a new page: the counts that keep overwrites from ever failing.
 *
 * A block without a page is admitted only while that leaves the spare, so that a block that has one
 * can always be overwritten: the NBD specification makes this a duty, for an extent that is
 * reported as allocated.  On a file with holes it also takes storage: as much as the admitted
 * blocks have pages, and for the pages that their overwrites pass through, up to the spare; so a
 * full file system stops new blocks and nothing else.
 */
#include "config.h"

#include <errno.h>

#include "error.h"
#include "layout.h"
#include "pages.h"

/* Pages with storage that `admitted` blocks need: theirs, and enough to overwrite them. */
static uint64_t storage_for(const struct pages *pages, uint64_t admitted)
{
	return admitted + (pages->spare < admitted ? pages->spare : admitted);
}

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
		pageset_add(&pages->resident, first, n);
		pages->stored += n;
	} else {
		pageset_add(&pages->absent, first, n);
	}
	pthread_cond_broadcast(&pages->freed);
	return rc;
}

int pages_populate_for(struct pages *pages, uint64_t admitted)
{
	uint64_t target = storage_for(pages, admitted);
	/* In large pieces, while the file system has room for such. */
	uint64_t piece = POPULATE_PAGES;

	while (pages->stored < target) {
		int rc;

		if (pages->absent.total == 0 && pages->populating > 0) {
			/* Somebody else has the last of them in hand. */
			pthread_cond_wait(&pages->freed, &pages->lock);
			continue;
		}
		rc = pages_populate(pages, piece);
		if (rc == 0)
			continue;
		if (piece == 1 || pages->absent.total == 0)
			return rc;
		piece = piece > 8 ? piece / 8 : 1;
	}
	return 0;
}

int pages_admit(struct pages *pages, uint64_t n, uint64_t changes)
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
		rc = pages_populate_for(pages, pages->admitted);
		if (rc != 0) {
			pages->admitted -= n;
			pages->pending -= n;
			pthread_cond_broadcast(&pages->settled);
		}
	}
	/*
	 * Whoever is under way, or was since the caller looked, may map these very blocks, free
	 * others, or give up: no reason yet to refuse.
	 */
	if (rc != 0 && (!alone || pages->pending > 0 || changes != pages->changes))
		rc = -EAGAIN;
	pthread_mutex_unlock(&pages->lock);
	if (rc == -ENOSPC)
		fail(ENOSPC, "write: %s: no page is free for a new block", pages->device->path);
	else if (rc != 0 && rc != -EAGAIN)
		fail_errno(-rc, "write: %s: storage for a new block", pages->device->path);
	return rc;
}

int pages_cede_storage(struct pages *pages)
{
	uint64_t page;
	int rc;

	pthread_mutex_lock(&pages->lock);
	if (pages->resident.total == 0)
		pages_spill(pages);
	if (pages->stored <= storage_for(pages, pages->admitted) ||
	    pageset_take(&pages->resident, 1, &page) == 0) {
		pthread_mutex_unlock(&pages->lock);
		return -ENOSPC;
	}
	/* In neither set, so that nobody else has it meanwhile. */
	pages->stored--;
	pthread_mutex_unlock(&pages->lock);
	rc = device_punch(pages->device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE);
	pthread_mutex_lock(&pages->lock);
	if (rc == 0) {
		pageset_add(&pages->absent, page, 1);
	} else {
		pageset_add(&pages->resident, page, 1);
		pages->stored++;
	}
	pthread_mutex_unlock(&pages->lock);
	return rc == 0 ? 0 : -ENOSPC;
}

void pages_wait_settled(struct pages *pages)
{
	pthread_mutex_lock(&pages->lock);
	if (pages->pending > 0)
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
	pthread_mutex_unlock(&pages->lock);
}
