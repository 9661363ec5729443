/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ownership.c - the tables and pages that a map owns.  See ownership.h.
 *
 * Three maps are walked together, from the place of the one's root down: at each place the page that each of them has is
 * compared, and a table is copied out before what is below it is looked at.  A map that is less high joins at its root.
 */
#include "config.h"

#include "map/ownership.h"
#include "media/guard.h"

/* One of the maps, and its table at the place at hand. */
struct side {
	const struct map *map; /* NULL: there is none */
	uint64_t page;	       /* 0: it has none there; MAP_BAD_PAGE: nobody knows */
};

struct walk {
	const struct ownership_visitor *visitor;
	bool whole;
};

/* What an entry of a table of level + 1 says. */
static uint64_t page_below(const struct map *map, uint64_t entry, unsigned int level,
			   uint64_t number)
{
	return level == 0 ? map_page_of(map, entry) : map_table_of(map, entry, level, number);
}

struct looking {
	const struct map *map;
	unsigned int level;
	uint64_t number;
	uint64_t page;
};

static void look_access(void *opaque)
{
	struct looking *looking = opaque;

	looking->page = map_page_at(looking->map, looking->level, looking->number);
}

/* The table at a place, or the page of a block; 0 if there is none. */
static uint64_t table_at(const struct map *map, unsigned int level, uint64_t number)
{
	struct looking looking = { map, level, number, 0 };
	struct fault fault;

	return guard_run(&map->device->pm, look_access, &looking, &fault) ? looking.page
									  : MAP_BAD_PAGE;
}

struct copying {
	const _Atomic uint64_t *from;
	uint64_t *to;
};

/* Entry by entry: it may be a table that writers change meanwhile. */
static void copy_access(void *opaque)
{
	struct copying *copying = opaque;

	/* Acquire: with the release of who published it, so that the table it names is seen. */
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++)
		copying->to[i] = atomic_load_explicit(&copying->from[i], memory_order_acquire);
}

/* Copy a table out; zeroes where there is none. */
static bool copy_out(const struct side *side, uint64_t table[LAYOUT_TABLE_ENTRIES])
{
	struct copying copying = { .to = table };
	struct fault fault;

	if (side->page == 0)
		for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++)
			table[i] = 0;
	if (side->page == 0 || side->page == MAP_BAD_PAGE)
		return side->page == 0;
	copying.from = map_table(side->map, side->page);
	return guard_run(&side->map->device->pm, copy_access, &copying, &fault);
}

/*
 * What another map has at a place, by its table above.  One that is less high has its root where this one has a
 * table.
 */
static struct side other_below(const struct side *above, uint64_t entry, unsigned int level,
			       uint64_t number)
{
	struct side side = { above->map, 0 };

	if (above->map == NULL)
		return side;
	if (above->page != 0)
		side.page = page_below(above->map, entry, level, number);
	else if (level == above->map->record.height && number == 0)
		side.page = table_at(above->map, level, 0);
	return side;
}

static void visit(struct walk *walk, unsigned int level, uint64_t number, const struct side *mine,
		  const struct side *before, const struct side *after)
{
	uint64_t my_table[LAYOUT_TABLE_ENTRIES];
	uint64_t table_before[LAYOUT_TABLE_ENTRIES], table_after[LAYOUT_TABLE_ENTRIES];

	if (before->page == MAP_BAD_PAGE || after->page == MAP_BAD_PAGE ||
	    mine->page == MAP_BAD_PAGE) {
		walk->whole = false;
		return;
	}
	if (mine->page == 0 || mine->page == before->page || mine->page == after->page)
		return;
	if (level == 0) {
		walk->visitor->block(walk->visitor->opaque, number, mine->page);
		return;
	}
	if (!copy_out(mine, my_table) || !copy_out(before, table_before) ||
	    !copy_out(after, table_after)) {
		walk->whole = false;
		return;
	}
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++) {
		uint64_t below = number << LAYOUT_TABLE_SHIFT | i;
		struct side my_child, before_child, after_child;

		if (my_table[i] == 0)
			continue;
		my_child = other_below(mine, my_table[i], level - 1, below);
		before_child = other_below(before, table_before[i], level - 1, below);
		after_child = other_below(after, table_after[i], level - 1, below);
		visit(walk, level - 1, below, &my_child, &before_child, &after_child);
	}
	walk->visitor->table(walk->visitor->opaque, level, number, mine->page);
}

static bool visit_from(const struct map *map, const struct map *predecessor,
		       const struct map *successor, unsigned int level, uint64_t number,
		       uint64_t page, const struct ownership_visitor *visitor)
{
	struct walk walk = { .visitor = visitor, .whole = true };
	struct side mine = { map, page };
	struct side before = { predecessor,
			       predecessor == NULL ? 0 : table_at(predecessor, level, number) };
	struct side after = { successor,
			      successor == NULL ? 0 : table_at(successor, level, number) };

	visit(&walk, level, number, &mine, &before, &after);
	return walk.whole;
}

bool ownership_visit(const struct map *map, const struct map *predecessor,
		     const struct map *successor, const struct ownership_visitor *visitor)
{
	unsigned int height = map->record.height;

	return visit_from(map, predecessor, successor, height, 0, table_at(map, height, 0),
			  visitor);
}

bool ownership_visit_below(const struct map *map, const struct map *predecessor, unsigned int level,
			   uint64_t number, uint64_t page, const struct ownership_visitor *visitor)
{
	return visit_from(map, predecessor, NULL, level, number, page, visitor);
}
