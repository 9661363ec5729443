/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * found.c - make durable what an open finds.
 *
 * What can be read need not be on the media.  A server that was killed between a store and its flush
 * leaves the store in the processor's cache, or in the kernel's.  And when the kernel cannot write a page
 * of an ordinary file, it tells it once, takes the page for clean, and goes on showing it: an msync of it
 * succeeds from then on, and the disk has the old one.
 *
 * Pages are free if no entry names them (invariant 6), so one that only the entry on the media names
 * would be given to another block, against invariant 3; and what is found done would be acknowledged,
 * against invariant 8.  So before anything relies on them, the superblock and the entries are flushed (its
 * copy is relied on by repair only, which checks and writes it).  Data pages need none of this: an entry is
 * published when its page is durable (invariant 2).
 *
 * Of an ordinary file the kernel is first asked to forget what it has, so that what is read is what the
 * disk has; whether it could write it before that is no matter.  A page that it did not forget, since it is
 * in use or part of a larger one, is written anew as it is.  Not all are: on a file system that copies
 * what is overwritten that takes room, and a full one could not be served at all.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "map/found.h"
#include "media/guard.h"

void found_before_super(struct found *found, const struct device *device)
{
	pm_forget(&device->pm, device->fd, 0, 1, &found->super_kept);
}

int found_before_index(struct found *found, const struct device *device, const struct super *super)
{
	found->kept = malloc(super->index_pages + 1);
	if (found->kept == NULL)
		return fail(ENOMEM, "open: %s: out of memory for the index", device->path);
	if (super->index_pages > 0)
		pm_forget(&device->pm, device->fd, super->index_start, super->index_pages,
			  found->kept);
	return 0;
}

void found_free(struct found *found)
{
	free(found->kept);
	found->kept = NULL;
}

struct run {
	const struct pm *pm;
	uint64_t page, count;
	int rc;
};

static void persist_access(void *opaque)
{
	struct run *run = opaque;
	uint8_t *at = pm_page(run->pm, run->page);
	size_t length = run->count << LAYOUT_PAGE_SHIFT;

	pm_dirty(run->pm, at, length);
	run->rc = pm_flush(run->pm, at, length, PM_OPEN_FOUND);
	/* Before the first request, and before a page that no entry names is taken for free. */
	pm_drain(run->pm, PM_OPEN_FOUND);
}

static int persist_run(const struct device *device, uint64_t page, uint64_t count)
{
	struct run run = { .pm = &device->pm, .page = page, .count = count };
	struct fault fault;

	if (!guard_run(run.pm, persist_access, &run, &fault))
		return fault_fail(device, &fault, "open", true);
	if (run.rc != 0)
		return fail_errno(-run.rc, "open: %s: what was found in it cannot be made durable",
				  device->path);
	return 0;
}

int found_persist(const struct found *found, const struct device *device, const struct index *index)
{
	uint64_t leaf = 0, n;
	int rc = found->super_kept ? persist_run(device, 0, 1) : 0;

	for (; rc == 0 && leaf < index->leaves; leaf += n + 1) {
		/* One that has no storage has no entry. */
		for (n = 0; leaf + n < index->leaves && index_leaf_present(index, leaf + n) &&
			    found->kept[leaf + n];)
			n++;
		if (n > 0)
			rc = persist_run(device, index->start + leaf, n);
	}
	return rc;
}
