/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages-mutant.c - a library that gives free pages away, or takes them back, against the rules.
 *
 * Stands, by the linker's --wrap, where pages lose their storage, are lent and are given back.  A
 * mutant of these either gives away what is not free, or does not count what it does.  What a
 * request does to the free pages it does under their lock, so each of these has it, too.
 */
#include "config.h"

#include "mutate.h"
#include "ops.h"
#include "pages/cache.h"

/* The page that a writer has taken last, and may still have; or its block has it by now. */
static uint64_t taken;

int __real_cache_take(struct pool *, unsigned int, uint64_t *, struct near *);
int64_t __real_storage_punch_locked(struct pool *, uint64_t);
int __real_lent_take_locked(struct pool *, uint64_t, uint64_t, uint64_t *);
void __real_lent_return_locked(struct pool *, uint64_t, uint64_t);
bool __real_pageset_has_run(const struct pageset *, uint64_t, uint64_t);

int __wrap_cache_take(struct pool *, unsigned int, uint64_t *, struct near *);
int64_t __wrap_storage_punch_locked(struct pool *, uint64_t);
int __wrap_lent_take_locked(struct pool *, uint64_t, uint64_t, uint64_t *);
void __wrap_lent_return_locked(struct pool *, uint64_t, uint64_t);
bool __wrap_pageset_has_run(const struct pageset *, uint64_t, uint64_t);

static bool is(enum mutant_kind kind)
{
	return mutate_is(kind, PM_ORDER_COUNT);
}

int __wrap_cache_take(struct pool *pool, unsigned int most, uint64_t *page, struct near *near)
{
	int rc = __real_cache_take(pool, most, page, near);

	if (rc > 0)
		taken = page[rc - 1];
	return rc;
}

/* Some page that has been retired, and for which no grace period has begun; 0 for none. */
static uint64_t retired(struct pool *pool, bool remove)
{
	uint64_t page = 0;

	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->cache_count && page == 0; i++) {
		struct batch *batch;

		cache_lock(&pool->caches[i]);
		batch = pool->caches[i].retired;
		if (batch != NULL && batch->count > 0) {
			page = batch->page[batch->count - 1];
			batch->count -= remove;
		}
		cache_unlock(&pool->caches[i]);
	}
	pthread_mutex_lock(&pool->lock);
	return page;
}

static void punch(struct pool *pool, uint64_t page)
{
	pthread_mutex_unlock(&pool->lock);
	if (page != 0)
		device_punch(pool->device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE);
	pthread_mutex_lock(&pool->lock);
}

int64_t __wrap_storage_punch_locked(struct pool *pool, uint64_t most)
{
	uint64_t spare = pool->spare;
	int64_t n;

	if (is(MUTANT_PUNCH_NEEDED))
		pool->spare = 0;
	n = __real_storage_punch_locked(pool, most);
	if (is(MUTANT_PUNCH_NEEDED))
		pool->spare = spare;
	if (is(MUTANT_PUNCH_UNCOUNTED) && n > 0)
		pool->stored += (uint64_t)n;
	if (is(MUTANT_PUNCH_RETIRED))
		punch(pool, retired(pool, false));
	if (is(MUTANT_PUNCH_TAKEN))
		punch(pool, taken);
	return n;
}

int __wrap_lent_take_locked(struct pool *pool, uint64_t n, uint64_t align, uint64_t *first)
{
	uint64_t spare = pool->spare;
	int rc;

	if (is(MUTANT_LEND_RETIRED) && (*first = retired(pool, true)) != 0) {
		pool->stored--;
		pageset_add(&pool->lent, *first, 1);
		return 0;
	}
	if (is(MUTANT_LEND_NEEDED))
		pool->spare = 0;
	rc = __real_lent_take_locked(pool, n, align, first);
	if (is(MUTANT_LEND_NEEDED))
		pool->spare = spare;
	/* Anybody may take it, too. */
	if (is(MUTANT_LEND_TWICE) && rc == 0) {
		pool->stored++;
		pool_free_locked(pool, *first, 1);
	}
	return rc;
}

/* The only question is whether what is given back is lent. */
bool __wrap_pageset_has_run(const struct pageset *set, uint64_t first, uint64_t n)
{
	return is(MUTANT_RETURN_TWICE) || __real_pageset_has_run(set, first, n);
}

void __wrap_lent_return_locked(struct pool *pool, uint64_t first, uint64_t n)
{
	if (is(MUTANT_RETURN_TWICE) && !__real_pageset_has_run(&pool->lent, first, n)) {
		pool_free_locked(pool, first, n);
		return;
	}
	__real_lent_return_locked(pool, first, n);
	if (is(MUTANT_RETURN_UNCOUNTED))
		pool->stored -= n;
}
