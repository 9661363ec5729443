/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open.c - a handle's life: open, start, close.
 *
 * Opening claims, maps, checks and scans; it starts no thread that outlives it and writes nothing
 * to the media, so that a server can open early, where errors are seen, and fork afterwards.
 * Closing saves nothing: a killed process leaves the same media behind as a closed handle.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/shell.h"
#include "io/handle.h"
#include "lend/server.h"
#include "map/found.h"
#include "media/badblocks.h"
#include "media/claim.h"
#include "media/guard.h"
#include "pages/keeper.h"
#include "pages/pages.h"
#include "pages/reclaim.h"

const char *kmemblk_version(void)
{
	return PACKAGE_VERSION;
}

/* Read the index, and refuse to write to a damaged one. */
static int read_index(struct kmemblk *h, struct index_scan *scan)
{
	const struct index *index = &h->index;
	int rc = index_open(&h->index, &h->device, &h->super, scan);

	if (rc != 0 || h->readonly ||
	    (index->wild == 0 && index->twice == 0 && index->unreadable == 0))
		return rc;
	return fail(EUCLEAN,
		    "open: %s: the index is damaged (%llu bad entries, %llu pages named twice, "
		    "%llu entries unreadable); for details type: kmemblk check %s; read-only it "
		    "can be opened",
		    h->device.path, (unsigned long long)index->wild,
		    (unsigned long long)index->twice, (unsigned long long)index->unreadable,
		    SHELL_WORD(h->device.path));
}

/* Refuse what cannot be trusted, before it is touched. */
static int check_bad_start(const struct kmemblk *h, const struct badblocks *bad)
{
	uint64_t page;

	if (!badblocks_find(bad, 0, 1, &page))
		return 0;
	return fail(EUCLEAN,
		    "open: %s: superblock: a bad block, as the system knows; clear it (ndctl "
		    "clear-errors, which zeroes what is bad), then type: kmemblk check %s",
		    h->device.path, SHELL_WORD(h->device.path));
}

static int check_bad_index(const struct kmemblk *h, const struct badblocks *bad)
{
	uint64_t page;

	if (h->readonly ||
	    !badblocks_find(bad, h->super.index_start, super_data_start(&h->super), &page))
		return 0;
	return fail(EUCLEAN,
		    "open: %s: page %llu of the index has a bad block, as the system knows; for "
		    "details type: kmemblk check %s; read-only it can be opened",
		    h->device.path, (unsigned long long)page, SHELL_WORD(h->device.path));
}

/*
 * Sort the bad data pages: those that hold nothing are put into `named`, so that nobody gets them;
 * how many.
 */
static uint64_t keep_bad_pages(const struct kmemblk *h, const struct badblocks *bad,
			       _Atomic uint64_t *named)
{
	uint64_t start = super_data_start(&h->super), n = 0;
	uint64_t pages = super_data_pages(&h->super);

	for (size_t i = 0; i < bad->count; i++)
		for (uint64_t j = 0; j < bad->runs[i].count; j++) {
			uint64_t page = bad->runs[i].first + j - start;

			if (page < pages && !bitmap_set(named, page))
				n++;
		}
	return n;
}

/* Those that hold a block are taken out of use when it leaves them. */
static void mark_bad_pages(struct kmemblk *h, const struct badblocks *bad)
{
	for (size_t i = 0; i < bad->count; i++)
		for (uint64_t j = 0; j < bad->runs[i].count; j++)
			pool_mark_bad(&h->pool, bad->runs[i].first + j);
}

/* Read the index and build from it what only memory holds (invariant 6). */
static int rebuild(struct kmemblk *h, const struct badblocks *bad, const struct found *found)
{
	uint64_t data_pages = super_data_pages(&h->super);
	struct index_scan scan = { .named = bitmap_new(data_pages),
				   .twice = bitmap_new(data_pages) };
	struct pages_found pages = {
		.first = super_data_start(&h->super),
		.count = data_pages,
		.spare = h->super.spare_pages,
		.named = scan.named,
	};
	int rc;

	if (scan.named == NULL || scan.twice == NULL) {
		rc = fail(ENOMEM, "open: %s: out of memory for the index", h->device.path);
		goto out;
	}
	rc = read_index(h, &scan);
	if (rc != 0)
		goto out;
	if (h->readonly) {
		if (h->index.twice > 0) {
			h->shared = scan.twice;
			scan.twice = NULL;
		}
		goto out;
	}
	rc = found_persist(found, &h->device, &h->index);
	if (rc != 0)
		goto out;
	pages.used = h->index.used;
	pages.bad = keep_bad_pages(h, bad, scan.named);
	rc = pages_open(&h->pool, &h->device, &pages);
	if (rc == 0)
		mark_bad_pages(h, bad);
out:
	free((void *)scan.named);
	free((void *)scan.twice);
	return rc;
}

int kmemblk_open(const char *path, unsigned int flags, struct kmemblk **handle)
{
	struct badblocks bad = { 0 };
	struct found found = { 0 };
	struct kmemblk *h;
	int rc;

	if (flags & ~(KMEMBLK_OPEN_READONLY | KMEMBLK_OPEN_OWNED))
		return fail(EINVAL, "open: %s: unknown flags 0x%x", path, flags);
	rc = guard_install();
	if (rc != 0)
		return rc;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return fail(ENOMEM, "open: %s: out of memory", path);
	h->readonly = flags & KMEMBLK_OPEN_READONLY;
	rc = device_open_as(&h->device, path, h->readonly,
			    flags & KMEMBLK_OPEN_OWNED ? DEVICE_OWNED : DEVICE_ANYBODYS);
	if (rc != 0)
		goto out;
	rc = claim_take(&h->device);
	if (rc == 0)
		rc = device_map(&h->device);
	if (rc == 0)
		h->cow = cow_find(h->device.fd, h->device.media, h->device.size);
	if (rc == 0)
		rc = badblocks_read(&bad, &h->device);
	if (rc == 0)
		rc = check_bad_start(h, &bad);
	if (rc == 0 && !h->readonly)
		found_before_super(&found, &h->device);
	if (rc == 0)
		rc = super_load(&h->device, &h->super);
	if (rc == 0 && !h->readonly)
		rc = found_before_index(&found, &h->device, &h->super);
	if (rc == 0)
		rc = check_bad_index(h, &bad);
	if (rc == 0)
		rc = rebuild(h, &bad, &found);
out:
	badblocks_free(&bad);
	found_free(&found);
	if (rc != 0) {
		kmemblk_close(h);
		return rc;
	}
	*handle = h;
	return 0;
}

/* End the threads, those that use others first. */
static void stop(struct kmemblk *h)
{
	keeper_stop(&h->pool);
	lending_stop(h);
	reclaim_stop(&h->pool);
}

int kmemblk_start(struct kmemblk *h)
{
	int rc;

	if (h->started)
		return fail(EINVAL, "start: %s: started already", h->device.path);
	rc = pm_keep_from_children(&h->device.pm);
	if (rc != 0)
		return fail_errno(-rc, "start: %s", h->device.path);
	if (!h->readonly)
		rc = reclaim_start(&h->pool);
	if (!h->readonly && rc == 0) {
		rc = keeper_start(&h->pool);
		if (rc == 0)
			rc = lending_start(h);
		if (rc != 0)
			stop(h);
	}
	h->started = rc == 0;
	return rc;
}

void kmemblk_close(struct kmemblk *h)
{
	if (h == NULL)
		return;
	stop(h);
	lending_close(h);
	pages_close(&h->pool);
	index_close(&h->index);
	free((void *)h->shared);
	device_close(&h->device);
	free(h);
}
