/* SPDX-License-Identifier: BSD-3-Clause */
/* verify.h - whether a page holds what was written to its block.  See verify.c. */
#ifndef VERIFY_H
#define VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "io/handle.h"

/*
 * Copy a block whose entry, which names a page, is `entry`.  False if its check value is another than the
 * entry's: then nothing may come of what was copied (invariant 9).  Touches the media: only under a guard.
 */
static inline bool verify_copy(const struct kmemblk_volume *v, uint64_t block, uint64_t entry,
			       void *to)
{
	const uint8_t *from = pm_page(&v->h->device.pm, layout_entry_page(entry));

	if (__builtin_expect(!v->map.checks, 0)) {
		pm_read(to, from, LAYOUT_PAGE_SIZE);
		return true;
	}
	return pm_read_block(to, from, map_prefix(&v->map, block)) == layout_entry_check(entry);
}

/* Count it, have the page taken out of use when the block leaves it, and the message: -EIO. */
int verify_fail(struct kmemblk_volume *v, const char *what, uint64_t block, uint64_t page);

#endif /* VERIFY_H */
