/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extents.c - block status as a list (see extents.h).
 */
#include "config.h"

#include <string.h>

#include "common/server.h"
#include "extents.h"

static int keep(void *opaque, const char *context, uint64_t offset, uint32_t *entries, size_t words,
		int *error)
{
	struct extents *extents = opaque;

	(void)offset;
	CHECK(strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0 && *error == 0, "%s", context);
	for (size_t i = 0; i + 1 < words; i += 2) {
		if (extents->count < EXTENTS_KEPT) {
			extents->extent[extents->count].length = entries[i];
			extents->extent[extents->count].type = entries[i + 1];
		}
		extents->count++;
		extents->total += entries[i];
	}
	return 0;
}

void extents_ask(struct nbd_handle *nbd, uint64_t length, uint64_t offset, uint32_t flags,
		 struct extents *extents)
{
	memset(extents, 0, sizeof *extents);
	NBD_CHECK(nbd_block_status(nbd, length, offset,
				   (nbd_extent_callback){ .callback = keep, .user_data = extents },
				   flags));
	CHECK(extents->count > 0 && extents->total <= length, "%u extents, %lu bytes of %lu",
	      extents->count, extents->total, length);
}
