/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lend-mutant.c - a library whose writers may take pages that are lent (invariant 5 broken).
 *
 * Linked into a test with -Wl,--wrap=lent_take_locked, this takes the place of lent_take_locked(): the first
 * page of a loan is free, too, for as long as it is lent.  The test must then fail.
 */
#include "config.h"

#include "pages/pool.h"

int __real_lent_take_locked(struct pool *pool, uint64_t n, uint64_t align, uint64_t *first);
int __wrap_lent_take_locked(struct pool *pool, uint64_t n, uint64_t align, uint64_t *first);

int __wrap_lent_take_locked(struct pool *pool, uint64_t n, uint64_t align, uint64_t *first)
{
	int rc = __real_lent_take_locked(pool, n, align, first);

	if (rc == 0) {
		pool->stored++;
		pool_free_locked(pool, *first, 1);
	}
	return rc;
}
