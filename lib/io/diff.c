/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * diff.c - which blocks differ between two views of one family.
 *
 * A page that both maps name at one place is the same table, or the same block: nobody changes what a snapshot names,
 * and two maps share only what some snapshot names that cannot be deleted while both are open.  So the walk goes down
 * only where they name different pages, and costs what has changed.
 *
 * It goes from the root to one place that differs, a leaf or none, in each section, with look-ups of its own: what
 * was found in one section may be another's page in the next.  Within a section no page is reused, so that equal page
 * numbers are equal pages also where both are written to meanwhile.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "base/shell.h"
#include "io/request.h"
#include "io/volume.h"
#include "media/guard.h"
#include "pages/grace.h"

enum kind { EQUAL, DATA, HOLE };

/* What a section looks for, and finds. */
struct look {
	const struct map *from, *to; /* from NULL: nothing is equal to a page */
	unsigned int level; /* both are at least so high, and have all blocks below `end` there */
	uint64_t next;	    /* block: all before it have been looked at */
	uint64_t end;
	/* Of one leaf: */
	uint64_t first;
	unsigned int count;
	uint8_t kind[LAYOUT_TABLE_ENTRIES];
	/* Or what cannot be followed, NULL for nothing: a table, with level 0 the page of a block. */
	const struct map *damaged;
	unsigned int damaged_level;
	uint64_t damaged_number;
};

/* The tables that both have at a place. */
struct place {
	unsigned int level;
	uint64_t number;
	uint64_t from, to; /* pages; 0: none */
};

static uint64_t entry_at(const struct map *map, uint64_t table, unsigned int i)
{
	if (table == 0)
		return 0;
	/* Acquire: with the release of who published it, so that the bytes of a table are seen. */
	return map_trusted(map, table,
			   atomic_load_explicit(&map_table(map, table)[i], memory_order_acquire));
}

static uint64_t page_of(const struct map *map, uint64_t entry, unsigned int level, uint64_t number)
{
	if (entry == 0)
		return 0;
	return level == 0 ? map_page_of(map, entry) : map_table_of(map, entry, level, number);
}

/* True if it is damaged, and then it is noted. */
static bool is_bad(struct look *look, const struct map *map, uint64_t page, unsigned int level,
		   uint64_t number)
{
	if (page != MAP_BAD_PAGE)
		return false;
	look->damaged = map;
	look->damaged_level = level;
	look->damaged_number = number;
	return true;
}

/*
 * Go to the first entry at or past look->next that differs, and look at what both name there.  False if there is none,
 * or none that can be followed.
 */
static bool go_below(struct look *look, struct place *place)
{
	unsigned int level = place->level - 1, shift = LAYOUT_TABLE_SHIFT * level;
	unsigned int i = (unsigned int)(look->next >> shift) % LAYOUT_TABLE_ENTRIES;
	uint64_t number = look->next >> shift, mine = 0, before = 0;

	for (; i < LAYOUT_TABLE_ENTRIES && number << shift < look->end; i++, number++) {
		mine = entry_at(look->to, place->to, i);
		before = entry_at(look->from, place->from, i);
		/* Of equal ones it is enough that their bits may be those of an entry: that is fast. */
		if (mine == before && mine != 0 &&
		    !(layout_entry_is_even(mine) &&
		      map_names_data(look->to, layout_entry_page(mine))))
			return !is_bad(look, look->to, MAP_BAD_PAGE, level, number);
		if (mine != before)
			break;
	}
	if (number << shift > look->next)
		look->next = number << shift;
	if (i == LAYOUT_TABLE_ENTRIES || look->next >= look->end)
		return false;
	*place = (struct place){ level, number, page_of(look->from, before, level, number),
				 page_of(look->to, mine, level, number) };
	return !is_bad(look, look->to, place->to, level, number) &&
	       !is_bad(look, look->from, place->from, level, number);
}

static void compare_leaves(struct look *look, const struct place *place)
{
	unsigned int i = (unsigned int)(look->next % LAYOUT_TABLE_ENTRIES);

	look->first = look->next;
	for (; i < LAYOUT_TABLE_ENTRIES && look->next < look->end; i++, look->next++) {
		uint64_t mine = entry_at(look->to, place->to, i);
		uint64_t before = entry_at(look->from, place->from, i);
		uint64_t page = page_of(look->to, mine, 0, look->next);

		if (is_bad(look, look->to, page, 0, look->next) ||
		    is_bad(look, look->from, page_of(look->from, before, 0, look->next), 0,
			   look->next))
			return;
		/* With their check values: who reads the one gets what the other holds, or an error. */
		look->kind[look->count++] = mine == before ? EQUAL : page == 0 ? HOLE : DATA;
	}
}

static void look_access(void *opaque)
{
	struct look *look = opaque;
	struct place place = { look->level, 0, 0, map_page_at(look->to, look->level, 0) };

	if (look->from != NULL)
		place.from = map_page_at(look->from, look->level, 0);
	if (is_bad(look, look->to, place.to, place.level, 0) ||
	    is_bad(look, look->from, place.from, place.level, 0))
		return;
	if (place.to == place.from) {
		look->next = look->end;
		return;
	}
	while (place.level > 1)
		if (!go_below(look, &place))
			return;
	compare_leaves(look, &place);
}

/* ---- the walk ------------------------------------------------------------------------------- */

struct walk {
	struct kmemblk_volume *from, *to;
	uint64_t block, next; /* the range at hand; equal: there is none */
	enum kind kind;	      /* of it */
	kmemblk_diff_fn fn;
	void *opaque;
};

/* Tell the range at hand.  What the callback said. */
static int emit(struct walk *walk)
{
	if (walk->next == walk->block)
		return 0;
	return walk->fn(walk->opaque, walk->block << LAYOUT_PAGE_SHIFT,
			(walk->next - walk->block) << LAYOUT_PAGE_SHIFT,
			walk->kind == HOLE ? KMEMBLK_EXTENT_HOLE : 0);
}

/* What was found in a leaf. */
static int add_leaf(struct walk *walk, const struct look *look)
{
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < look->count; i++) {
		uint64_t block = look->first + i;

		if (look->kind[i] == EQUAL)
			continue;
		if (block != walk->next || look->kind[i] != walk->kind) {
			rc = emit(walk);
			walk->block = block;
			walk->kind = look->kind[i];
		}
		walk->next = block + 1;
	}
	return rc;
}

static int fail_damaged(const struct walk *walk, const struct look *look)
{
	struct kmemblk_volume *v = look->damaged == &walk->to->map ? walk->to : walk->from;
	const char *path = v->h->device.path;
	char name[VOLUME_NAME_SIZE];

	volume_name(v, name);
	if (look->damaged_level == 0)
		return fail(EIO,
			    "diff: %s: volume %s: the entry of block %llu is damaged; for details "
			    "type: kmemblk check %s",
			    path, name, (unsigned long long)look->damaged_number, SHELL_WORD(path));
	return fail(EIO,
		    "diff: %s: volume %s: the entry of table %llu of level %u is damaged; for "
		    "details type: kmemblk check %s",
		    path, name, (unsigned long long)look->damaged_number, look->damaged_level,
		    SHELL_WORD(path));
}

/* The blocks of [first, end), all of which both have. */
static int walk_part(struct walk *walk, const struct map *from, uint64_t first, uint64_t end)
{
	const struct map *to = &walk->to->map;
	struct look look = {
		.from = from, .to = to, .level = record_height(end), .next = first, .end = end
	};
	struct fault fault;
	int rc = 0;

	while (rc == 0 && look.next < end) {
		uint64_t next = look.next;
		bool whole;

		look.count = 0;
		grace_enter();
		whole = guard_run(&to->device->pm, look_access, &look, &fault);
		grace_leave();
		if (!whole)
			return fault_fail_load(to->device, &fault, "diff", next);
		if (look.damaged != NULL)
			return fail_damaged(walk, &look);
		rc = add_leaf(walk, &look);
	}
	return rc;
}

static int check_pair(struct kmemblk_volume *from, struct kmemblk_volume *to)
{
	char name[VOLUME_NAME_SIZE], other[VOLUME_NAME_SIZE];
	const char *path = to->h->device.path;

	if (from == NULL || (from->h == to->h && from->map.family == to->map.family))
		return 0;
	if (from->h != to->h)
		return fail(EINVAL, "diff: %s: the other volume is one of %s, opened apart", path,
			    from->h->device.path);
	volume_name(from, name);
	volume_name(to, other);
	return fail(EINVAL,
		    "diff: %s: %s and %s have nothing in common: name snapshots of one volume, or "
		    "a clone and what it was made from; to see them, type: kmemblk list %s",
		    path, name, other, SHELL_WORD(path));
}

int kmemblk_diff(struct kmemblk_volume *from, struct kmemblk_volume *to, kmemblk_diff_fn fn,
		 void *opaque)
{
	struct walk walk = { .from = from, .to = to, .fn = fn, .opaque = opaque };
	uint64_t end = map_blocks(&to->map), both = from == NULL ? 0 : map_blocks(&from->map);
	int rc = check_pair(from, to);

	if (rc != 0)
		return rc;
	if (both > end)
		both = end;
	if (from != NULL)
		rc = walk_part(&walk, &from->map, 0, both);
	if (rc == 0)
		rc = walk_part(&walk, NULL, both, end);
	if (rc == 0)
		rc = emit(&walk);
	return rc > 0 ? 0 : rc;
}
