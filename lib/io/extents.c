/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extents.c - which parts of the disk have pages.
 *
 * Walks the map a leaf at a time; where there is no leaf, there is a hole.  Runs
 * are joined across leaves and given to the callback outside the guard, so it may do what it likes.
 */
#include "config.h"

#include <errno.h>

#include "io/request.h"
#include "media/guard.h"
#include "pages/grace.h"

/* The extent being put together, and where its report goes. */
struct walk {
	struct kmemblk_volume *v;
	uint64_t offset, end; /* bytes of the request */
	uint64_t block;	      /* first of the extent at hand */
	uint64_t next;	      /* first not yet looked at */
	bool hole;	      /* kind of the extent at hand */
	kmemblk_extent_fn fn;
	void *opaque;
};

/* Report blocks [walk->block, walk->next), cut to the request.  What the callback said. */
static int emit(struct walk *walk)
{
	uint64_t from = walk->block << LAYOUT_PAGE_SHIFT;
	uint64_t to = walk->next << LAYOUT_PAGE_SHIFT;

	if (from < walk->offset)
		from = walk->offset;
	if (to > walk->end)
		to = walk->end;
	if (from >= to)
		return 0;
	return walk->fn(walk->opaque, from, to - from, walk->hole ? KMEMBLK_EXTENT_HOLE : 0);
}

struct run {
	const struct map *map;
	uint64_t block;	   /* first */
	unsigned int most; /* blocks, in one leaf */
	unsigned int length;
	bool hole;
};

static void measure_access(void *opaque)
{
	struct run *run = opaque;
	unsigned int i = 1;

	run->hole = map_load(run->map, run->block) == 0;
	while (i < run->most && (map_load(run->map, run->block + i) == 0) == run->hole)
		i++;
	run->length = i;
}

/* Without looking: a leaf of a damaged map may be lost rather than not there. */
static bool is_empty(const struct map *map, uint64_t block)
{
	return !map->damaged && !map_may_have_leaf(map, block);
}

/* How many blocks from run->block on are of the kind of the first. */
static int measure(struct run *run)
{
	struct fault fault;
	bool whole;

	run->hole = true;
	run->length = run->most;
	if (is_empty(run->map, run->block))
		return 0;
	/* In a section: a leaf that was looked up is not reused before its end. */
	grace_enter();
	whole = guard_run(&run->map->device->pm, measure_access, run, &fault);
	grace_leave();
	return whole ? 0 : fault_fail_load(run->map->device, &fault, "extents", run->block);
}

static int walk_all(struct walk *walk, uint64_t last)
{
	int rc = 0;

	while (rc == 0 && walk->next < last) {
		uint64_t n = LAYOUT_TABLE_ENTRIES - walk->next % LAYOUT_TABLE_ENTRIES;
		struct run run = { .map = &walk->v->map, .block = walk->next };

		run.most = (unsigned int)(n < last - walk->next ? n : last - walk->next);
		rc = measure(&run);
		if (rc == 0 && run.hole != walk->hole) {
			rc = emit(walk);
			walk->block = walk->next;
			walk->hole = run.hole;
		}
		if (rc == 0)
			walk->next += run.length;
	}
	return rc == 0 ? emit(walk) : rc;
}

int kmemblk_extents(struct kmemblk_volume *v, uint64_t count, uint64_t offset, kmemblk_extent_fn fn,
		    void *opaque)
{
	struct walk walk = { .v = v, .offset = offset, .fn = fn, .opaque = opaque };
	int rc = check_range(v, "extents", count, offset);

	if (rc != 0 || count == 0)
		return rc;
	walk.end = offset + count;
	walk.block = offset >> LAYOUT_PAGE_SHIFT;
	walk.next = walk.block;
	rc = walk_all(&walk, (walk.end + LAYOUT_PAGE_SIZE - 1) >> LAYOUT_PAGE_SHIFT);
	return rc > 0 ? 0 : rc;
}
