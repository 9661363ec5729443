/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutate.c - see mutate.h.
 *
 * Stands, by the linker's --wrap, between the ways of a request and the map and the free pages,
 * and does things there in another order.
 */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "io/handle.h"
#include "map/directory.h"
#include "map/map.h"
#include "map/tree.h"
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
	const struct map *map;
	const _Atomic uint64_t *entry;
	uint64_t n;
} postponed;

/* Where this thread's last walk ended. */
static __thread struct map_way walked;
/* What it replaces is a record. */
static __thread bool managing;

int __real_map_persist(const struct map *, const _Atomic uint64_t *, uint64_t, enum pm_order);
int __real_map_persist_guarded(const struct map *, const _Atomic uint64_t *, uint64_t,
			       enum pm_order);
int __real_directory_clear(const struct device *, const struct super *, unsigned int);
int __real_tree_cut(const struct map *, uint64_t, struct pool *, struct tree_sums *);
unsigned int __real_cache_retire_now(struct pool *, unsigned int, const uint64_t *, unsigned int);
void __real_cache_retire(struct pool *, const uint64_t *, unsigned int);

int __wrap_map_persist(const struct map *, const _Atomic uint64_t *, uint64_t, enum pm_order);
int __wrap_map_persist_guarded(const struct map *, const _Atomic uint64_t *, uint64_t,
			       enum pm_order);
int __wrap_directory_clear(const struct device *, const struct super *, unsigned int);
int __wrap_tree_cut(const struct map *, uint64_t, struct pool *, struct tree_sums *);
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
	unsigned int done;

	if (mutate_is(MUTANT_LEAVE_OWN, PM_ORDER_COUNT))
		return n;
	done = __real_cache_retire_now(pool, cache, page, n);
	if ((mutate_is(MUTANT_EARLY_RETIRE, PM_WRITE_ENTRY) && contents == PM_WRITE_DATA) ||
	    (mutate_is(MUTANT_EARLY_RETIRE, PM_PART_ENTRY) && contents == PM_PART_DATA)) {
		/* A grace period that begins now sees nobody here. */
		grace_leave();
		left_early = true;
	}
	return done;
}

void mutate_walked(const struct map_way *way)
{
	walked = *way;
}

/* Who is to find a table before its way is durable. */
static void show_leaf(const struct map *map, const _Atomic uint64_t *entry)
{
	if (walked.level == 1)
		atomic_store(&map->leaf[walked.number],
			     map_leaf_word(layout_entry_page(atomic_load(entry)),
					   map_gate(map) >> 1, true));
}

int __wrap_map_persist(const struct map *map, const _Atomic uint64_t *entry, uint64_t n,
		       enum pm_order order)
{
	int rc;

	if (order == PM_TRIM_ENTRY && mutate_is(MUTANT_TRUST_FOUND_PART, order))
		return 0;
	if (order == PM_TABLE_ENTRY && mutate_is(MUTANT_EARLY_LEAF, order))
		show_leaf(map, entry);
	rc = __real_map_persist(map, entry, n, order);
	if (left_early)
		grace_enter();
	left_early = false;
	return rc;
}

int __wrap_map_persist_guarded(const struct map *map, const _Atomic uint64_t *entry, uint64_t n,
			       enum pm_order order)
{
	if (order != PM_TRIM_ENTRY || !mutate_is(MUTANT_EARLY_RETIRE, order))
		return __real_map_persist_guarded(map, entry, n, order);
	postponed.map = map;
	postponed.entry = entry;
	postponed.n = n;
	return 0;
}

void __wrap_cache_retire(struct pool *pool, const uint64_t *page, unsigned int n)
{
	__real_cache_retire(pool, page, n);
	if (postponed.map == NULL)
		return;
	if (__real_map_persist_guarded(postponed.map, postponed.entry, postponed.n,
				       PM_TRIM_ENTRY) != 0)
		fatal("%s", kmemblk_error());
	postponed.map = NULL;
}

static void clear_entry(const struct pm *pm, uint64_t page, unsigned int number,
			enum pm_order order)
{
	_Atomic uint64_t *entry = (_Atomic uint64_t *)pm_page(pm, page) + number;

	pm_swap(pm, entry, 0);
	pm_flush(pm, (const void *)entry, sizeof(*entry), order);
	pm_drain(pm, order);
}

int __wrap_directory_clear(const struct device *device, const struct super *super,
			   unsigned int number)
{
	if (!mutate_is(MUTANT_COPY_LAST, PM_DIRECTORY_COPY))
		return __real_directory_clear(device, super, number);
	clear_entry(&device->pm, super->directory_start, number, PM_DIRECTORY);
	clear_entry(&device->pm, super->directory_start + super->directory_pages, number,
		    PM_DIRECTORY_COPY);
	return 0;
}

int __wrap_tree_cut(const struct map *map, uint64_t blocks, struct pool *pool,
		    struct tree_sums *sums)
{
	/* What a crash has left is found when nothing is recorded. */
	if (mutant_is(&mutate, on ? MUTANT_NO_CUT : MUTANT_NO_CUT_FOUND, PM_CUT))
		return 0;
	return __real_tree_cut(map, blocks, pool, sums);
}

void mutate_manage(bool value)
{
	managing = value;
	mutate_begin_view();
}

bool mutate_leaves_open(const pthread_mutex_t *mutex, const struct kmemblk *h)
{
	if (!managing || h == NULL || !mutate_is(MUTANT_NO_MAP_LOCK, PM_RECORD))
		return false;
	for (unsigned int i = 0; i < directory_size(&h->super); i++)
		if (h->volumes[i] != NULL && mutex == &h->volumes[i]->map.lock)
			return true;
	return false;
}
