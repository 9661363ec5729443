/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutate.c - see mutate.h.
 *
 * Stands, by the linker's --wrap, between the ways of a request and the index and the free pages,
 * and does things there in another order.
 */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "map/index.h"
#include "mutate.h"
#include "ops.h"
#include "pages/grace.h"
#include "pages/pool.h"

struct mutant mutate;

static bool on;

/* Contents that are to be stored after the entry that names them. */
static __thread struct {
	void *dst;
	size_t len;
	bool zero;
	enum pm_order order;
	uint8_t src[DISK_SIZE];
} late;

/* Whose page is being published: the order point of the contents that this thread stored last. */
static __thread enum pm_order contents;
static __thread bool left_early;

/* A flush of cleared entries that is to come after their pages have been retired. */
static __thread struct {
	const struct index *index;
	uint64_t block, n;
} postponed;

int __real_index_persist(const struct index *, uint64_t, uint64_t, enum pm_order);
int __real_index_persist_guarded(const struct index *, uint64_t, uint64_t, enum pm_order);
unsigned int __real_cache_retire_now(struct pool *, unsigned int, const uint64_t *, unsigned int);
void __real_cache_retire(struct pool *, const uint64_t *, unsigned int);

int __wrap_index_persist(const struct index *, uint64_t, uint64_t, enum pm_order);
int __wrap_index_persist_guarded(const struct index *, uint64_t, uint64_t, enum pm_order);
unsigned int __wrap_cache_retire_now(struct pool *, unsigned int, const uint64_t *, unsigned int);
void __wrap_cache_retire(struct pool *, const uint64_t *, unsigned int);

void mutate_start(void)
{
	on = true;
}

void mutate_stop(void)
{
	on = false;
}

bool mutate_is(enum mutant_kind kind, enum pm_order order)
{
	return on && mutant_is(&mutate, kind, order);
}

bool mutate_store(void *dst, const void *src, size_t len, enum pm_order order)
{
	contents = order;
	if (!mutate_is(MUTANT_PUBLISH_FIRST, order))
		return false;
	if (len > sizeof(late.src))
		fatal("%zu bytes to be published at once", len);
	/* Of several runs of pages only the last is late. */
	if (late.dst != NULL)
		recorder_put(late.dst, late.zero ? NULL : late.src, late.len, late.order);
	late.dst = dst;
	late.len = len;
	late.order = order;
	late.zero = src == NULL;
	if (src != NULL)
		memcpy(late.src, src, len);
	return true;
}

void mutate_published(void)
{
	if (late.dst != NULL)
		recorder_put(late.dst, late.zero ? NULL : late.src, late.len, late.order);
	late.dst = NULL;
}

unsigned int __wrap_cache_retire_now(struct pool *pool, unsigned int cache, const uint64_t *page,
				     unsigned int n)
{
	unsigned int done = __real_cache_retire_now(pool, cache, page, n);

	if ((mutate_is(MUTANT_EARLY_RETIRE, PM_WRITE_ENTRY) && contents == PM_WRITE_DATA) ||
	    (mutate_is(MUTANT_EARLY_RETIRE, PM_PART_ENTRY) && contents == PM_PART_DATA)) {
		/* A grace period that begins now sees nobody here. */
		grace_leave();
		left_early = true;
	}
	return done;
}

int __wrap_index_persist(const struct index *index, uint64_t block, uint64_t n, enum pm_order order)
{
	int rc;

	if (order == PM_TRIM_ENTRY && mutate_is(MUTANT_TRUST_FOUND_PART, order))
		return 0;
	rc = __real_index_persist(index, block, n, order);
	if (left_early)
		grace_enter();
	left_early = false;
	return rc;
}

/* How many entries of the leaf name a page. */
static uint32_t named(const struct index *index, uint64_t leaf)
{
	uint64_t first = leaf << LAYOUT_LEAF_SHIFT;
	uint32_t n = 0;

	for (uint64_t b = first; b < first + LAYOUT_LEAF_ENTRIES && b < index->blocks; b++)
		n += index->entries[b] != 0;
	return n;
}

int __wrap_index_persist_guarded(const struct index *index, uint64_t block, uint64_t n,
				 enum pm_order order)
{
	_Atomic uint32_t *count = &index->count[index_leaf(block)];
	uint32_t by;
	int rc;

	if (order == PM_TRIM_ENTRY && mutate_is(MUTANT_EARLY_RETIRE, order)) {
		postponed.index = index;
		postponed.block = block;
		postponed.n = n;
		return 0;
	}
	if (order != PM_TRIM_ENTRY || !mutate_is(MUTANT_EARLY_LOWER, order))
		return __real_index_persist_guarded(index, block, n, order);
	by = *count - named(index, index_leaf(block));
	*count -= by;
	rc = __real_index_persist_guarded(index, block, n, order);
	*count += by;
	return rc;
}

void __wrap_cache_retire(struct pool *pool, const uint64_t *page, unsigned int n)
{
	__real_cache_retire(pool, page, n);
	if (postponed.index == NULL)
		return;
	if (__real_index_persist_guarded(postponed.index, postponed.block, postponed.n,
					 PM_TRIM_ENTRY) != 0)
		fatal("%s", kmemblk_error());
	postponed.index = NULL;
}
