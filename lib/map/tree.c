/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tree.c - give all tables and blocks of a map back, or cut off its end.
 */
#include "config.h"

#include <errno.h>

#include "map/tree.h"
#include "media/guard.h"
#include "pages/cache.h"

/* A table, copied out. */
struct walked {
	uint64_t page;
	uint64_t entry[LAYOUT_TABLE_ENTRIES];
};

static bool copy_out(const struct map *map, uint64_t page, struct walked *table)
{
	table->page = page;
	return guard_read(&map->device->pm, table->entry, pm_page(&map->device->pm, page),
			  LAYOUT_PAGE_SIZE);
}

/* ---- giving back ---------------------------------------------------------------------------- */

struct retiring {
	const struct map *map;
	struct pool *pool;
	struct tree_sums *sums;
};

static void retire_table(void *opaque, uint64_t page)
{
	struct retiring *r = opaque;

	pool_forget_table(r->pool, page);
	cache_retire(r->pool, &page, 1);
	r->sums->tables++;
}

static void retire_leaf(void *opaque, uint64_t number, uint64_t page)
{
	struct retiring *r = opaque;
	uint64_t pages[LAYOUT_TABLE_ENTRIES];
	struct walked leaf;
	unsigned int n = 0;

	(void)number;
	if (copy_out(r->map, page, &leaf))
		for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++)
			if (leaf.entry[i] != 0) {
				pages[n] = map_page_of(r->map, leaf.entry[i]);
				r->sums->blocks++;
				n += pages[n] != MAP_BAD_PAGE;
			}
	cache_retire(r->pool, pages, n);
	retire_table(r, page);
}

void tree_retire(const struct map *map, struct pool *pool, struct tree_sums *sums)
{
	struct retiring r = { map, pool, sums };
	struct map_visitor visitor = { retire_leaf, retire_table, &r };

	(void)map_visit(map, &visitor);
}

/* ---- looking past an end -------------------------------------------------------------------- */

struct looking {
	const struct map *map;
	uint64_t blocks;
	bool found;
};

static void look(void *opaque, uint64_t number, uint64_t page)
{
	uint64_t block = number << LAYOUT_TABLE_SHIFT;
	struct looking *l = opaque;
	struct walked leaf;

	if (l->found || block + LAYOUT_TABLE_ENTRIES <= l->blocks)
		return;
	l->found = !copy_out(l->map, page, &leaf);
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES && !l->found; i++)
		l->found = block + i >= l->blocks && leaf.entry[i] != 0;
}

bool tree_holds_past(const struct map *map, uint64_t blocks)
{
	struct looking l = { .map = map, .blocks = blocks };
	struct map_visitor visitor = { .leaf = look, .opaque = &l };

	return !map_visit(map, &visitor) || l.found;
}

/* ---- cutting off the end -------------------------------------------------------------------- */

struct clearing {
	const struct map *map;
	_Atomic uint64_t *entry;
	uint64_t old;
	int rc;
};

static void clear_access(void *opaque)
{
	struct clearing *c = opaque;

	c->old = pm_swap(&c->map->device->pm, c->entry, 0);
	c->rc = map_persist(c->map, c->entry, 1, PM_CUT);
}

/* Clear an entry of a table of `level`, and retire what it named. */
static int cut_entry(struct retiring *r, _Atomic uint64_t *entry, unsigned int level,
		     uint64_t number)
{
	struct clearing c = { .map = r->map, .entry = entry };
	struct map_visitor visitor = { retire_leaf, retire_table, r };
	struct fault fault;
	uint64_t page;

	if (!guard_run(&r->map->device->pm, clear_access, &c, &fault))
		return -EIO;
	if (c.rc != 0)
		return c.rc;
	if (level > 1) {
		(void)map_visit_below(r->map, c.old, level - 1, number, &visitor);
		return 0;
	}
	page = map_page_of(r->map, c.old);
	r->sums->blocks++;
	if (page != MAP_BAD_PAGE)
		cache_retire(r->pool, &page, 1);
	return 0;
}

/* The table at a place: its entries for what begins at or past `blocks`, and below that which it cuts. */
static int cut(struct retiring *r, uint64_t page, unsigned int level, uint64_t number,
	       uint64_t blocks)
{
	unsigned int shift = LAYOUT_TABLE_SHIFT * (level - 1);
	_Atomic uint64_t *entry = map_table(r->map, page);
	struct walked table;
	int rc = 0;

	if (!copy_out(r->map, page, &table))
		return -EIO;
	for (unsigned int i = 0; rc == 0 && i < LAYOUT_TABLE_ENTRIES; i++) {
		uint64_t below = number << LAYOUT_TABLE_SHIFT | i, child;

		if (table.entry[i] == 0 || (below + 1) << shift <= blocks)
			continue;
		if (below << shift >= blocks) {
			rc = cut_entry(r, &entry[i], level, below);
			continue;
		}
		child = map_table_of(r->map, table.entry[i], level - 1, below);
		if (child != MAP_BAD_PAGE)
			rc = cut(r, child, level - 1, below, blocks);
	}
	return rc;
}

int tree_cut(const struct map *map, uint64_t blocks, struct pool *pool, struct tree_sums *sums)
{
	struct retiring r = { map, pool, sums };
	uint64_t entry, page;

	if (!guard_read(&map->device->pm, &entry, (const void *)map->root, sizeof(entry)))
		return -EIO;
	page = map_table_of(map, entry, map->record.height, 0);
	if (page == 0 || page == MAP_BAD_PAGE)
		return 0;
	return cut(&r, page, map->record.height, 0, blocks);
}
