/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * views-mutant.c - a library that shares tables and pages between views against the rules.
 *
 * Stands, by the linker's --wrap, where the gate is closed and opened, where a predecessor is set or compared with, and
 * where pages are reserved for what is shared, and records replaced.
 */
#include "config.h"

#include "api/change.h"
#include "io/volume.h"
#include "map/doomed.h"
#include "map/ownership.h"
#include "map/table.h"
#include "mutate.h"
#include "pages/reserve.h"
#include "stage.h"

/* What this thread has done last with a gate, while it changes views. */
static __thread enum { NEITHER, CLOSED, OPENED } gate;

/* A record by which a volume becomes thin, and which is to come after its snapshot's. */
static __thread struct {
	struct kmemblk_volume *v; /* NULL: there is none */
	struct record record;
	uint64_t page, root;
} thin;

/* Pages that are to be reserved when the volume is thin no more. */
static __thread uint64_t unreserved;

void __real_map_close_gate(struct map *);
void __real_map_open_gate(struct map *);
void __real_volume_set_predecessor(struct kmemblk_volume *, struct kmemblk_volume *);
void __real_map_walk_owned(const struct map *, uint64_t, unsigned int, struct map_way *,
			   uint64_t *);
bool __real_doomed_owns(const struct doomed *, unsigned int, uint64_t, uint64_t);
bool __real_ownership_visit(const struct map *, const struct map *, const struct map *,
			    const struct ownership_visitor *);
int __real_change_reserve(struct kmemblk *, uint64_t, const struct change_need *);
int __real_change_replace(struct kmemblk_volume *, const struct record *, uint64_t, uint64_t,
			  bool *, uint64_t *);
int __real_change_publish(struct kmemblk *, unsigned int, const struct record *, uint64_t, uint64_t,
			  bool *);
int __real_table_make(struct map *, struct pool *, uint64_t, unsigned int, const char *);

void __wrap_map_close_gate(struct map *);
void __wrap_map_open_gate(struct map *);
void __wrap_volume_set_predecessor(struct kmemblk_volume *, struct kmemblk_volume *);
void __wrap_map_walk_owned(const struct map *, uint64_t, unsigned int, struct map_way *,
			   uint64_t *);
bool __wrap_doomed_owns(const struct doomed *, unsigned int, uint64_t, uint64_t);
bool __wrap_ownership_visit(const struct map *, const struct map *, const struct map *,
			    const struct ownership_visitor *);
int __wrap_change_reserve(struct kmemblk *, uint64_t, const struct change_need *);
int __wrap_change_replace(struct kmemblk_volume *, const struct record *, uint64_t, uint64_t,
			  bool *, uint64_t *);
int __wrap_change_publish(struct kmemblk *, unsigned int, const struct record *, uint64_t, uint64_t,
			  bool *);
int __wrap_table_make(struct map *, struct pool *, uint64_t, unsigned int, const char *);

static bool is(enum mutant_kind kind)
{
	return mutate_is(kind, PM_ORDER_COUNT);
}

void mutate_begin_view(void)
{
	gate = NEITHER;
}

bool mutate_skips_wait(void)
{
	return (gate == NEITHER && is(MUTANT_NO_SWEEP_GRACE)) ||
	       (gate == CLOSED && is(MUTANT_NO_GATE_GRACE));
}

void __wrap_map_close_gate(struct map *map)
{
	gate = CLOSED;
	if (!is(MUTANT_NO_GATE))
		__real_map_close_gate(map);
}

void __wrap_map_open_gate(struct map *map)
{
	uint64_t was = map_gate(map) & ~UINT64_C(1);

	gate = OPENED;
	if (is(MUTANT_SAME_EPOCH))
		atomic_store(&map->gate, was);
	else
		__real_map_open_gate(map);
}

void __wrap_volume_set_predecessor(struct kmemblk_volume *v, struct kmemblk_volume *predecessor)
{
	if (!is(MUTANT_OLD_PREDECESSOR)) {
		__real_volume_set_predecessor(v, predecessor);
		return;
	}
	v->predecessor = predecessor;
}

void __wrap_map_walk_owned(const struct map *map, uint64_t block, unsigned int level,
			   struct map_way *way, uint64_t *before)
{
	if (is(MUTANT_WRITE_SHARED)) {
		map_walk(map, block, way);
		*before = 0;
	} else {
		__real_map_walk_owned(map, block, level, way, before);
	}
	mutate_walked(way);
}

int __wrap_table_make(struct map *map, struct pool *pool, uint64_t block, unsigned int level,
		      const char *what)
{
	int rc = __real_table_make(map, pool, block, level, what);

	if (is(MUTANT_RETIRE_SHARED))
		atomic_store(&map->before[map_leaf(block)], 0);
	return rc;
}

bool __wrap_doomed_owns(const struct doomed *doomed, unsigned int level, uint64_t number,
			uint64_t page)
{
	return !is(MUTANT_NO_MARK) && __real_doomed_owns(doomed, level, number, page);
}

bool __wrap_ownership_visit(const struct map *map, const struct map *predecessor,
			    const struct map *successor, const struct ownership_visitor *visitor)
{
	bool whole =
		is(MUTANT_NO_SWEEP) || __real_ownership_visit(map, predecessor, successor, visitor);

	/* Between a sweep and what it is for, others go on. */
	stage_step();
	return whole;
}

int __wrap_change_reserve(struct kmemblk *h, uint64_t n, const struct change_need *need)
{
	if (is(MUTANT_LATE_ROOM))
		unreserved = n;
	return is(MUTANT_NO_GUARANTEE) || is(MUTANT_LATE_ROOM) ? 0
							       : __real_change_reserve(h, n, need);
}

/* Less reserved, or more, whatever others have reserved meanwhile. */
static void add_reserved(struct pool *pool, uint64_t n)
{
	if (n == 0)
		return;
	reserve_unmap_begin(pool);
	reserve_unmap_end(pool, -n);
}

int __wrap_change_replace(struct kmemblk_volume *v, const struct record *record, uint64_t page,
			  uint64_t root, bool *named, uint64_t *old)
{
	struct pool *pool = &v->h->pool;
	uint64_t early = is(MUTANT_EARLY_ROOM) ? map_shares(&v->map) : 0;
	int rc;

	if (is(MUTANT_THIN_LAST)) {
		thin.v = v;
		thin.record = *record;
		thin.page = page;
		thin.root = root;
		*named = true;
		*old = v->page;
		return 0;
	}
	add_reserved(pool, -early);
	rc = __real_change_replace(v, record, page, root, named, old);
	add_reserved(pool, early + unreserved);
	unreserved = 0;
	return rc;
}

int __wrap_change_publish(struct kmemblk *h, unsigned int number, const struct record *record,
			  uint64_t page, uint64_t root, bool *named)
{
	int rc = __real_change_publish(h, number, record, page, root, named);
	uint64_t old;

	if (thin.v != NULL && rc == 0)
		rc = __real_change_replace(thin.v, &thin.record, thin.page, thin.root, named, &old);
	thin.v = NULL;
	return rc;
}
