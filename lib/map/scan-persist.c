/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scan-persist.c - make durable what the scan found, before anything relies on it.
 *
 * What can be read need not be on the media.  A server that was killed between a store and its flush
 * leaves the store in the processor's cache, or in the kernel's.  And when the kernel cannot write a page
 * of an ordinary file, it tells it once, takes the page for clean, and goes on showing it: an msync of it
 * succeeds from then on, and the disk has the old one.
 *
 * Pages are free if no entry names them, so one that only the entry on the media names would be given to
 * another block, against invariant 3; and what is found done would be acknowledged, against invariant 8.  So
 * before anything relies on them, the superblock and all pages with entries are flushed (its copy is relied on
 * by repair only, which checks and writes it).  The pages of blocks need none of this: an entry is published
 * when its page is durable (invariant 2).
 *
 * Of an ordinary file the kernel was first asked to forget what it has, so that what is read is what the
 * disk has; whether it could write it before that is no matter.  A page that it did not forget, since it is
 * in use or part of a larger one, is written anew as it is.  Not all are: on a file system that copies
 * what is overwritten that takes room, and a full one could not be served at all.
 */
#include "config.h"

#include "base/error.h"
#include "map/scan.h"
#include "media/guard.h"

struct found {
	const struct pm *pm;
	uint64_t page;
	int rc;
};

static void persist_access(void *opaque)
{
	struct found *found = opaque;
	uint8_t *at = pm_page(found->pm, found->page);

	pm_dirty(found->pm, at, LAYOUT_PAGE_SIZE);
	found->rc = pm_flush(found->pm, at, LAYOUT_PAGE_SIZE, PM_OPEN_FOUND);
}

static int persist_page(const struct device *device, uint64_t page)
{
	struct found found = { .pm = &device->pm, .page = page };
	struct fault fault;

	if (!guard_run(found.pm, persist_access, &found, &fault))
		return fault_fail(device, &fault, "open", true);
	if (found.rc != 0)
		return fail_errno(-found.rc,
				  "open: %s: what was found in it cannot be made durable",
				  device->path);
	return 0;
}

int scan_persist(const struct scan *scan, const struct device *device, bool super_kept)
{
	int rc = super_kept ? persist_page(device, 0) : 0;

	for (uint64_t i = 0; rc == 0 && i < scan->page_count; i++)
		if (scan->pages[i].kept)
			rc = persist_page(device, scan->pages[i].page);
	/* Before the first request, and before a page that no entry names is taken for free. */
	pm_drain(&device->pm, PM_OPEN_FOUND);
	return rc;
}
