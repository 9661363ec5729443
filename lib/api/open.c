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

#include "api/resize.h"
#include "base/error.h"
#include "base/shell.h"
#include "io/volume.h"
#include "io/request.h"
#include "lend/server.h"
#include "map/directory.h"
#include "map/scan.h"
#include "media/badblocks.h"
#include "media/claim.h"
#include "media/guard.h"
#include "pages/grace.h"
#include "pages/keeper.h"
#include "pages/pages.h"
#include "pages/reclaim.h"

const char *kmemblk_version(void)
{
	return PACKAGE_VERSION;
}

/* Read the map, and refuse to write to a damaged one. */
static int read_map(struct kmemblk *h, struct scan *scan)
{
	int rc = scan_open(scan, &h->device, &h->super);

	if (rc != 0 || h->readonly || !scan_found_damage(scan))
		return rc;
	if (scan->problem[0] != '\0')
		return fail(EUCLEAN,
			    "open: %s: %s; for details type: kmemblk check %s; read-only it can be "
			    "opened",
			    h->device.path, scan->problem, SHELL_WORD(h->device.path));
	return fail(EUCLEAN,
		    "open: %s: the map is damaged (%llu bad entries, %llu pages named twice, "
		    "%llu entries unreadable); for details type: kmemblk check %s; read-only it "
		    "can be opened",
		    h->device.path, (unsigned long long)scan->wild,
		    (unsigned long long)scan->named_twice, (unsigned long long)scan->unreadable,
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

static int check_bad_directory(const struct kmemblk *h, const struct badblocks *bad)
{
	uint64_t page;

	if (h->readonly ||
	    !badblocks_find(bad, h->super.directory_start, super_data_start(&h->super), &page))
		return 0;
	return fail(
		EUCLEAN,
		"open: %s: page %llu of the directory has a bad block, as the system knows; for "
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

/* What a read-only handle keeps of the scan. */
static void keep_found(struct kmemblk *h, struct scan *scan)
{
	h->used = scan->used;
	h->tables = scan->tables;
	h->reserved = scan->reserved;
	h->damaged = scan->problems + scan->wild + scan->unreadable + scan->named_twice;
	if (scan->named_twice > 0) {
		h->shared = scan->twice;
		scan->twice = NULL;
		for (unsigned int i = 0; i < directory_size(&h->super); i++)
			if (h->volumes[i] != NULL)
				h->volumes[i]->map.shared = h->shared;
	}
}

static void note_tables(struct kmemblk *h, const struct scan *scan)
{
	for (uint64_t i = 0; i < scan->page_count; i++)
		/* Not those of the directory. */
		if (scan->pages[i].page >= h->pool.first)
			pool_note_table(&h->pool, scan->pages[i].page);
}

/* Read the map and build from it what only memory holds (invariant 6). */
static int rebuild(struct kmemblk *h, const struct badblocks *bad, bool super_kept)
{
	struct scan scan = { .bad = h->readonly ? NULL : bad, .for_writing = !h->readonly };
	struct pages_found pages = {
		.first = super_data_start(&h->super),
		.count = super_data_pages(&h->super),
		.spare = h->super.spare_pages,
		.for_tables = type_for_tables(&h->super),
	};
	int rc = read_map(h, &scan);

	if (rc == 0)
		rc = volumes_open(h, &scan);
	if (rc != 0)
		goto out;
	if (h->readonly) {
		keep_found(h, &scan);
		goto out;
	}
	h->unequal = scan.unequal;
	rc = scan_persist(&scan, &h->device, super_kept);
	if (rc != 0)
		goto out;
	pages.named = scan.named;
	pages.blocks = scan.used;
	pages.reserved = scan.reserved;
	pages.bad = keep_bad_pages(h, bad, scan.named);
	rc = pages_open(&h->pool, &h->device, &pages);
	if (rc != 0)
		goto out;
	mark_bad_pages(h, bad);
	note_tables(h, &scan);
out:
	scan_free(&scan);
	return rc;
}

int kmemblk_open(const char *path, unsigned int flags, struct kmemblk **handle)
{
	struct badblocks bad = { 0 };
	bool super_kept = false;
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
	if (rc == 0 && !h->readonly) {
		pm_forget(&h->device.pm, h->device.fd);
		super_kept = pm_is_kept(&h->device.pm, 0);
	}
	if (rc == 0)
		rc = super_load(&h->device, &h->super);
	if (rc == 0)
		rc = check_bad_directory(h, &bad);
	if (rc == 0)
		rc = rebuild(h, &bad, super_kept);
out:
	badblocks_free(&bad);
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

/* What a crash may have left to do, before the first request. */
static int finish_changes(struct kmemblk *h)
{
	int rc = 0;

	if (h->unequal) {
		grace_enter();
		rc = directory_equalize(&h->device, &h->super);
		if (rc != 0)
			note_failed_flush(h);
		grace_leave();
		if (rc != 0)
			return fail_persist(h, -rc);
	}
	for (unsigned int i = 0; rc == 0 && i < directory_size(&h->super); i++)
		if (h->volumes[i] != NULL && h->volumes[i]->past &&
		    resize_cut_past(h->volumes[i]) != 0 &&
		    atomic_load_explicit(&h->pool.frozen, memory_order_relaxed))
			rc = fail_persist(h, EIO);
	return rc;
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
		rc = finish_changes(h);
		if (rc == 0)
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
	volumes_close(h);
	free((void *)h->shared);
	device_close(&h->device);
	free(h);
}
