/* SPDX-License-Identifier: BSD-3-Clause */
/* lent.c - see lent.h. */
#include "config.h"

#include <errno.h>

#include "media/guard.h"
#include "pages/lent.h"
#include "pages/storage.h"

struct range {
	uint8_t *memory;
	size_t length;
};

static void clear_access(void *opaque)
{
	const struct range *range = opaque;

	pm_clear(range->memory, range->length);
}

int lent_clear(struct pool *pool, uint64_t first, uint64_t n)
{
	const struct pm *pm = &pool->device->pm;
	struct range range = { pm_page(pm, first), n << LAYOUT_PAGE_SHIFT };
	struct fault fault;
	int rc;

	if (guard_run(pm, clear_access, &range, &fault))
		return 0;
	rc = fault_error(pool->device, &fault);
	if (rc == -EIO)
		pool_mark_bad(pool, fault.page);
	return rc;
}

void lent_add_locked(struct pool *pool, uint64_t first, uint64_t n)
{
	pool->stored -= n;
	pageset_add(&pool->lent, first, n);
}

/* A run without storage becomes lent, if the file system has room.  Lets go of the lock. */
static int lend_absent_locked(struct pool *pool, uint64_t first, uint64_t n)
{
	int rc;

	/* Counted at once: that reservations can do without these pages has just been found. */
	pageset_add(&pool->lent, first, n);
	pthread_mutex_unlock(&pool->lock);
	rc = device_allocate(pool->device, first << LAYOUT_PAGE_SHIFT, n << LAYOUT_PAGE_SHIFT);
	pthread_mutex_lock(&pool->lock);
	if (rc != 0) {
		pageset_remove(&pool->lent, first, n);
		pool_absent_locked(pool, first, n);
	}
	return rc;
}

int lent_take_locked(struct pool *pool, uint64_t n, uint64_t align, uint64_t *first)
{
	/* Where in the device an aligned address lies: the mapping need not begin at one. */
	uint64_t shift = -((uintptr_t)pool->device->pm.base >> LAYOUT_PAGE_SHIFT) & (align - 1);
	int rc;

	if (pool_lendable_locked(pool) < n)
		return -ENOMEM;
	do {
		if (pool_unneeded_locked(pool) >= n &&
		    pageset_take_aligned(&pool->resident, n, align, shift, first)) {
			lent_add_locked(pool, *first, n);
			pthread_mutex_unlock(&pool->lock);
			rc = lent_clear(pool, *first, n);
			pthread_mutex_lock(&pool->lock);
			if (rc != 0)
				lent_return_locked(pool, *first, n);
			return rc;
		}
		/* What was freshly reclaimed may make the run whole. */
	} while (pool_spill_locked(pool));
	if (!pageset_take_aligned(&pool->absent, n, align, shift, first))
		return -ENOMEM;
	return lend_absent_locked(pool, *first, n);
}

void lent_return_locked(struct pool *pool, uint64_t first, uint64_t n)
{
	pageset_remove(&pool->lent, first, n);
	pool->stored += n;
	pool_free_locked(pool, first, n);
	/* Reservations that wait may fit now. */
	pthread_cond_broadcast(&pool->ended);
	pool_changed_locked(pool);
}
