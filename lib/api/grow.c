/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * grow.c - make a device that has become larger use all of it.
 *
 * Only the superblock says how many pages there are, so it and the place of its copy are all that changes.
 * Each step is drained before the next:
 *
 *  1. Storage for what is written, and the file's length made durable: a superblock of more pages than there are
 *     is refused.
 *  2. The copy at the new end.             PM_GROW_COPY
 *  3. Clear the copy at the old end.       PM_GROW_CLEAR
 *  4. The primary, its checksum first.     PM_GROW_CHECKSUM, PM_GROW_PRIMARY
 *
 * A power failure before step 4 leaves the old device, since nothing but the primary is looked at to open one; within
 * it, the old one or the new, since a primary with the checksum of the new copy is taken for it (super.c).  At every moment
 * there is a copy beside the primary, and from the end of step 2 on the one at the device's end, by which check
 * brings a lost primary back.  The page of the old copy belongs to nobody until the primary makes it one for data, so
 * no step has to follow the primary, which a crash could leave out.
 *
 * All steps may be made again, in part or as a whole: the same call finishes a growth that was cut, and so does check.
 */
#include "config.h"

#include <errno.h>

#include "api/grow.h"
#include "base/error.h"
#include "kmemblk.h"
#include "media/claim.h"
#include "media/guard.h"

static int allocate(const struct device *device, uint64_t page, const char *what)
{
	int rc = device_allocate(device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE);

	return rc == 0 ? 0 : fail_errno(-rc, "%s: %s: storage", what, device->path);
}

/* All that may be refused for want of room, before the first store. */
static int prepare(const struct device *device, uint64_t old_copy, uint64_t copy, const char *what)
{
	int rc = allocate(device, 0, what);

	if (rc == 0)
		rc = allocate(device, old_copy, what);
	if (rc == 0)
		rc = allocate(device, copy, what);
	if (rc != 0)
		return rc;
	rc = device_sync(device);
	return rc == 0 ? 0 : fail_errno(-rc, "%s: %s: sync its length", what, device->path);
}

static int clear(const struct device *device, uint64_t page, const char *what)
{
	int rc = guard_write(device, pm_page(&device->pm, page), NULL, LAYOUT_PAGE_SIZE,
			     PM_GROW_CLEAR, NULL);

	if (rc != 0)
		return fail_errno(-rc, "%s: %s: clear the superblock copy (page %llu)", what,
				  device->path, (unsigned long long)page);
	/* Before the primary says that this page is one for data. */
	pm_drain(&device->pm, PM_GROW_CLEAR);
	return 0;
}

int grow_write(const struct device *device, const struct super *super, const struct super *grown,
	       const char *what)
{
	uint64_t old_copy = super_copy_page(super), copy = super_copy_page(grown);
	int rc = prepare(device, old_copy, copy, what);

	if (rc == 0)
		rc = super_write(device, copy, grown, PM_GROW_COPY);
	if (rc == 0)
		rc = clear(device, old_copy, what);
	if (rc == 0)
		rc = super_exchange(device, grown);
	return rc;
}

/* The superblock is in *super; make it one of all pages. */
static int grow(const struct device *device, const struct super *super,
		struct kmemblk_grow_result *result)
{
	struct super primary, grown = super_grown(super, super_last_page(device) + 1);
	struct super_verdict verdict;

	result->device_pages_before = super->device_pages;
	result->device_pages = super->device_pages;
	if (grown.device_pages > super->device_pages) {
		result->device_pages = grown.device_pages;
		return grow_write(device, super, &grown, "grow");
	}
	/* All that is missing is the primary, whose exchange was cut: it was the copy that was loaded. */
	if (super_read(device, 0, &primary, &verdict) == SUPER_SOUND)
		return 0;
	result->finished = 1;
	return super_exchange(device, super);
}

int kmemblk_grow(const char *path, struct kmemblk_grow_result *result)
{
	struct device device;
	struct super super;
	int rc = guard_install();

	*result = (struct kmemblk_grow_result){ 0 };
	if (rc == 0)
		rc = device_open(&device, path, false);
	if (rc != 0)
		return rc;
	rc = claim_take(&device);
	if (rc == 0)
		rc = device_map(&device);
	if (rc == 0)
		rc = super_load(&device, &super);
	if (rc == 0)
		rc = grow(&device, &super, result);
	device_close(&device);
	return rc;
}
