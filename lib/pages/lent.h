/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lent.h - pages become somebody's memory, and the disk's again.
 *
 * A page is lent only while that leaves spare and headroom, and the storage that reservations need:
 * so no loan can make an overwrite wait, let alone fail.
 */
#ifndef LENT_H
#define LENT_H

#include <stdint.h>

#include "pages/pool.h"

/*
 * Lend a run of `n` pages, aligned to `align` pages in the mapping, zeroed.  Lets go of the lock meanwhile.
 * 0; -ENOMEM or another -errno, without message.
 */
int lent_take_locked(struct pool *pool, uint64_t n, uint64_t align, uint64_t *first);

/*
 * Resident pages that were taken out of their set become lent.  They are to be cleared before anybody
 * sees them.
 */
void lent_add_locked(struct pool *pool, uint64_t first, uint64_t n);
/* Zero a run that has been lent, so that no block's contents are seen; without the lock.  0 or -EIO. */
int lent_clear(struct pool *pool, uint64_t first, uint64_t n);

/* End a loan. */
void lent_return_locked(struct pool *pool, uint64_t first, uint64_t n);

#endif /* LENT_H */
