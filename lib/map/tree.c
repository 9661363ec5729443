/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tree.c - cut off the end of a map, and look whether there is anything past it.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "map/ownership.h"
#include "map/table.h"
#include "map/tree.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"

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

/* In the table at a place, which the end cuts. */
static bool names_past(const struct map *map, uint64_t page, unsigned int level, uint64_t number,
		       uint64_t blocks)
{
	unsigned int shift = LAYOUT_TABLE_SHIFT * (level - 1);
	struct walked table;

	if (!copy_out(map, page, &table))
		return true;
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++) {
		uint64_t below = number << LAYOUT_TABLE_SHIFT | i;

		if (table.entry[i] == 0 || (below + 1) << shift <= blocks)
			continue;
		if (below << shift >= blocks)
			return true;
		page = map_table_of(map, table.entry[i], level - 1, below);
		if (page == MAP_BAD_PAGE || names_past(map, page, level - 1, below, blocks))
			return true;
	}
	return false;
}

bool tree_names_past(const struct map *map, uint64_t blocks)
{
	unsigned int height = map->record.height;
	uint64_t entry, page;

	if (!guard_read(&map->device->pm, &entry, (const void *)map->root, sizeof(entry)))
		return true;
	page = map_table_of(map, entry, height, 0);
	return page != 0 && blocks >> (LAYOUT_TABLE_SHIFT * height) == 0 &&
	       (page == MAP_BAD_PAGE || names_past(map, page, height, 0, blocks));
}

/* ---- cutting off the end -------------------------------------------------------------------- */

struct cutting {
	struct map *map;
	struct pool *pool;
	struct tree_sums *sums;
	uint64_t blocks; /* what begins at or past it is cut off */
};

static void retire_block(void *opaque, uint64_t block, uint64_t page)
{
	const struct cutting *c = opaque;

	(void)block;
	c->sums->owned++;
	cache_retire(c->pool, &page, 1);
}

static void retire_table(void *opaque, unsigned int level, uint64_t number, uint64_t page)
{
	const struct cutting *c = opaque;

	(void)level;
	(void)number;
	pool_forget_table(c->pool, page);
	c->sums->owned_tables++;
	cache_retire(c->pool, &page, 1);
}

static void count_leaf(void *opaque, uint64_t number, uint64_t page)
{
	const struct cutting *c = opaque;
	struct walked leaf;

	(void)number;
	c->sums->tables++;
	if (copy_out(c->map, page, &leaf))
		for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++)
			c->sums->blocks += leaf.entry[i] != 0;
}

static void count_table(void *opaque, uint64_t page)
{
	const struct cutting *c = opaque;

	(void)page;
	c->sums->tables++;
}

static int fail_table(const struct map *map, unsigned int level)
{
	return fail(EIO, "resize: %s: a table of level %u of volume %s cannot be read",
		    map->device->path, level, map->record.name);
}

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

/* What a cleared entry named, with all below it: counted, and what the volume owns of it retired. */
static void let_go(struct cutting *c, uint64_t entry, unsigned int level, uint64_t number)
{
	struct map_visitor counter = { count_leaf, count_table, c };
	struct ownership_visitor retirer = { retire_block, retire_table, c };
	uint64_t page = level == 0 ? map_page_of(c->map, entry)
				   : map_table_of(c->map, entry, level, number);

	if (level == 0)
		c->sums->blocks++;
	else
		(void)map_visit_below(c->map, entry, level, number, &counter);
	if (page != 0 && page != MAP_BAD_PAGE)
		(void)ownership_visit_below(c->map, c->map->predecessor, level, number, page,
					    &retirer);
}

/* Clear an entry of a table of `level`. */
static int cut_entry(struct cutting *c, _Atomic uint64_t *entry, unsigned int level,
		     uint64_t number)
{
	struct clearing clearing = { .map = c->map, .entry = entry };
	struct fault fault;
	bool whole;

	/* In a section: whoever waits for a grace period after a flush failed is shown that. */
	grace_enter();
	whole = guard_run(&c->map->device->pm, clear_access, &clearing, &fault);
	if (clearing.rc != 0)
		pool_freeze(c->pool);
	grace_leave();
	if (!whole)
		return fault_fail(c->map->device, &fault, "resize", true);
	if (clearing.rc != 0)
		return fail_errno(-clearing.rc, "resize: %s", c->map->device->path);
	let_go(c, clearing.old, level - 1, number);
	return 0;
}

/* The table at a place, which is owned: its entries for what begins past the end, and below that which it cuts. */
static int cut(struct cutting *c, uint64_t page, unsigned int level, uint64_t number)
{
	unsigned int shift = LAYOUT_TABLE_SHIFT * (level - 1);
	_Atomic uint64_t *entry = map_table(c->map, page);
	struct walked table;
	int rc = 0;

	if (!copy_out(c->map, page, &table))
		return fail_table(c->map, level);
	for (unsigned int i = 0; rc == 0 && i < LAYOUT_TABLE_ENTRIES; i++) {
		uint64_t below = number << LAYOUT_TABLE_SHIFT | i, child;

		if (table.entry[i] == 0 || (below + 1) << shift <= c->blocks)
			continue;
		if (below << shift >= c->blocks) {
			rc = cut_entry(c, &entry[i], level, below);
			continue;
		}
		child = map_table_of(c->map, table.entry[i], level - 1, below);
		if (child != MAP_BAD_PAGE)
			rc = cut(c, child, level - 1, below);
	}
	return rc;
}

int tree_own_edge(struct map *map, uint64_t blocks, struct pool *pool)
{
	struct table_found found = { .state = TABLE_SHARED };
	int rc = 0;

	/* Nothing of it lies past what it can have, or all does. */
	if (blocks == 0 || blocks >> (LAYOUT_TABLE_SHIFT * map->record.height) != 0)
		return 0;
	while (rc == 0 && found.state == TABLE_SHARED) {
		rc = table_look(map, blocks, "resize", &found);
		if (rc == 0 && found.state == TABLE_SHARED)
			rc = table_make(map, pool, blocks, found.level, "resize");
	}
	return rc;
}

int tree_cut(struct map *map, uint64_t blocks, struct pool *pool, struct tree_sums *sums)
{
	struct cutting c = { map, pool, sums, blocks };
	uint64_t entry, page;

	/* Nothing of it lies past what it can have. */
	if (blocks >> (LAYOUT_TABLE_SHIFT * map->record.height) != 0)
		return 0;
	if (blocks == 0)
		return cut_entry(&c, map->root, map->record.height + 1, 0);
	if (!guard_read(&map->device->pm, &entry, (const void *)map->root, sizeof(entry)))
		return fail_table(map, map->record.height + 1);
	page = map_table_of(map, entry, map->record.height, 0);
	if (page == 0 || page == MAP_BAD_PAGE)
		return 0;
	return cut(&c, page, map->record.height, 0);
}
