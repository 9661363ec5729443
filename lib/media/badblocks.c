/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * badblocks.c - the system's list of bad blocks, as pages of the device.
 *
 * The kernel keeps such a list for persistent memory and adds to it when an access fails.  So it is
 * what remains of the media errors of earlier runs: a page on it is not touched to find out.
 * libpmem2 knows where the list of a devdax device or of a file on fsdax is, and translates it.
 *
 * It is a help and no more: memory without a list, a list that only root may read (that of devdax),
 * and an error in reading it all count as no list.  What is bad then shows when it is touched.
 */
#include "config.h"

#include <errno.h>
#include <libpmem2.h>
#include <stdlib.h>

#include "base/error.h"
#include "media/badblocks.h"

static int add(struct badblocks *list, const struct device *device,
	       const struct pmem2_badblock *block)
{
	struct badblocks_run *runs, *run;
	uint64_t end = device->size;

	if (block->length == 0 || block->offset >= end)
		return 0;
	if (block->length < end - block->offset)
		end = block->offset + block->length;
	runs = reallocarray(list->runs, list->count + 1, sizeof(*runs));
	if (runs == NULL)
		return fail(ENOMEM, "open: %s: out of memory for bad blocks", device->path);
	list->runs = runs;
	run = &runs[list->count++];
	/* A page that is bad only in part is bad. */
	run->first = block->offset >> LAYOUT_PAGE_SHIFT;
	run->count = ((end + LAYOUT_PAGE_SIZE - 1) >> LAYOUT_PAGE_SHIFT) - run->first;
	return 0;
}

int badblocks_read(struct badblocks *list, const struct device *device)
{
	struct pmem2_badblock_context *context = NULL;
	struct pmem2_source *source = NULL;
	struct pmem2_badblock block;
	int rc = 0;

	*list = (struct badblocks){ 0 };
	if (device->media != PM_DEVDAX && device->media != PM_FSDAX)
		return 0;
	if (pmem2_source_from_fd(&source, device->fd) != 0)
		return 0;
	if (pmem2_badblock_context_new(&context, source) == 0) {
		while (rc == 0 && pmem2_badblock_next(context, &block) == 0)
			rc = add(list, device, &block);
		pmem2_badblock_context_delete(&context);
	}
	pmem2_source_delete(&source);
	return rc;
}

void badblocks_free(struct badblocks *list)
{
	free(list->runs);
	*list = (struct badblocks){ 0 };
}

bool badblocks_find(const struct badblocks *list, uint64_t from, uint64_t to, uint64_t *page)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct badblocks_run *run = &list->runs[i];

		if (run->first >= to || run->first + run->count <= from)
			continue;
		*page = run->first > from ? run->first : from;
		return true;
	}
	return false;
}
