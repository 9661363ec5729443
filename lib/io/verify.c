/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify.c - a block whose page does not hold what was written to it.
 *
 * The check value in its entry is over the disk's family, the block's number and its bytes: so it shows bits
 * that turned, a page that was overwritten, and an entry that was moved.  The block is an error to whoever
 * reads it, and to who writes a part of it, since the rest of it is lost; a write of the whole block, or a
 * trim, makes it good again.  The page is suspect then, and stays
 * out of use while there are not too many of them (pool_mark_suspect()).
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "io/verify.h"
#include "io/volume.h"

int verify_fail(struct kmemblk_volume *v, const char *what, uint64_t block, uint64_t page)
{
	char name[VOLUME_NAME_SIZE];

	volume_name(v, name);
	/* Relaxed: it is a figure. */
	atomic_fetch_add_explicit(&v->h->mismatches, 1, memory_order_relaxed);
	if (!v->h->readonly)
		pool_mark_suspect(&v->h->pool, page);
	return fail(EIO,
		    "%s: %s: volume %s: block %llu is damaged: page %llu does not hold what was "
		    "written there; %s",
		    what, v->h->device.path, name, (unsigned long long)block,
		    (unsigned long long)page,
		    v->map.is_snapshot
			    ? "a snapshot cannot be written: that stays until it is deleted"
			    : "a write of the whole block, or a trim, makes it good again");
}
