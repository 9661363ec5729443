/* SPDX-License-Identifier: BSD-3-Clause */
/* map.c - a map in memory, and the slower services of map.h. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/shell.h"
#include "map/map.h"
#include "media/guard.h"

/*
 * Address space for a word a leaf of the largest volume, so that the array grows where it is; of that only
 * what is touched takes memory, and only what may be touched is counted against a limit.
 */
#define LEAF_BYTES (record_tables(LAYOUT_MAX_BLOCKS, 1) * sizeof(uint64_t))

void map_open(struct map *map, const struct device *device, const struct super *super,
	      const struct record *record, uint64_t page)
{
	*map = (struct map){
		.device = device,
		.record = *record,
		.family = record->family,
		.blocks = record->blocks,
		.data_start = super_data_start(super),
		.data_pages = super_data_pages(super),
		.checks = super->check != LAYOUT_CHECK_NONE,
		.root = record_root(device, page),
	};
	pthread_mutex_init(&map->lock, NULL);
}

void map_close(struct map *map)
{
	map_put_away(map);
	pthread_mutex_destroy(&map->lock);
}

int map_make_room(struct map *map, uint64_t blocks)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = record_tables(blocks, 1) * sizeof(map->leaf[0]);

	if (mprotect((void *)map->leaf, (bytes + page - 1) & ~(page - 1), PROT_READ | PROT_WRITE) ==
	    -1)
		return fail(ENOMEM, "open: %s: out of memory for the map", map->device->path);
	return 0;
}

void map_change_record(struct map *map, const struct record *record, uint64_t page)
{
	map->record = *record;
	map->root = record_root(map->device, page);
	/* Release: see map_blocks(). */
	atomic_store_explicit(&map->blocks, record->blocks, memory_order_release);
}

void map_copy_name(struct map *map, char name[LAYOUT_NAME_SIZE])
{
	pthread_mutex_lock(&map->lock);
	memcpy(name, map->record.name, LAYOUT_NAME_SIZE);
	pthread_mutex_unlock(&map->lock);
}

/* A leaf that the walk has found; its whole way is durable since the open. */
static void note_leaf(void *opaque, uint64_t number, uint64_t page)
{
	struct map *map = opaque;

	if (number < record_tables(map->record.blocks, 1))
		atomic_store_explicit(&map->leaf[number], page, memory_order_relaxed);
}

/* Not all of it could be followed: with a leaf that is lost nothing is written, for it would get another. */
static int meet_damage(struct map *map)
{
	map->damaged = map->device->readonly;
	if (map->damaged)
		return 0;
	return fail(
		EUCLEAN,
		"open: %s: volume %s: its map has been damaged since the device was opened: close "
		"the device, then type: kmemblk check %s",
		map->device->path, map->record.name, SHELL_WORD(map->device->path));
}

int map_prepare(struct map *map)
{
	struct map_visitor visitor = { .leaf = note_leaf, .opaque = map };
	void *leaf = mmap(NULL, LEAF_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			  -1, 0);
	int rc;

	if (leaf == MAP_FAILED)
		return fail(ENOMEM, "open: %s: out of memory for the map", map->device->path);
	map->leaf = leaf;
	rc = map_make_room(map, map->record.blocks);
	if (rc == 0 && !map_visit(map, &visitor))
		rc = meet_damage(map);
	if (rc != 0)
		map_put_away(map);
	return rc;
}

void map_put_away(struct map *map)
{
	if (map->leaf != NULL)
		munmap((void *)map->leaf, LEAF_BYTES);
	map->leaf = NULL;
}

uint64_t map_table_of(const struct map *map, uint64_t entry, unsigned int level, uint64_t number)
{
	uint64_t page = layout_entry_page(entry);

	if (entry == 0)
		return 0;
	/* Of the right place, too: else a table would be taken for another's. */
	if (!map_names_data(map, page) || entry != map_table_entry(map, page, level, number))
		return MAP_BAD_PAGE;
	/* Pages below it are told from others' by their blocks' check values only. */
	return !map->checks && map_is_shared(map, page) ? MAP_BAD_PAGE : page;
}

void map_walk(const struct map *map, uint64_t block, struct map_way *way)
{
	unsigned int level = map->record.height;
	uint64_t entry, table = 0;

	way->entry = map->root;
	for (;; level--) {
		way->level = level;
		way->number = block >> (LAYOUT_TABLE_SHIFT * level);
		/* Acquire: with the release of who published it, so that its bytes are seen. */
		entry = atomic_load_explicit(way->entry, memory_order_acquire);
		if (table != 0)
			entry = map_trusted(map, table, entry);
		way->page = map_table_of(map, entry, level, way->number);
		if (level == 1 || way->page == 0 || way->page == MAP_BAD_PAGE)
			return;
		table = way->page;
		way->entry = &map_table(map, table)[block >> (LAYOUT_TABLE_SHIFT * (level - 1)) &
						    (LAYOUT_TABLE_ENTRIES - 1)];
	}
}

/* The table that `entry` names at a place, copied out before what is below it is visited. */
bool map_visit_below(const struct map *map, uint64_t entry, unsigned int level, uint64_t number,
		     const struct map_visitor *visitor)
{
	uint64_t page = map_table_of(map, entry, level, number), table[LAYOUT_TABLE_ENTRIES];
	bool whole = true;

	if (page == 0 || page == MAP_BAD_PAGE)
		return page == 0;
	if (level == 1) {
		if (visitor->leaf != NULL)
			visitor->leaf(visitor->opaque, number, page);
		return true;
	}
	if (!guard_read(&map->device->pm, table, pm_page(&map->device->pm, page), sizeof(table)))
		return false;
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++)
		if (table[i] != 0 && !map_visit_below(map, table[i], level - 1,
						      number << LAYOUT_TABLE_SHIFT | i, visitor))
			whole = false;
	if (visitor->table != NULL)
		visitor->table(visitor->opaque, page);
	return whole;
}

bool map_visit(const struct map *map, const struct map_visitor *visitor)
{
	uint64_t entry;

	return guard_read(&map->device->pm, &entry, (const void *)map->root, sizeof(entry)) &&
	       map_visit_below(map, entry, map->record.height, 0, visitor);
}

int map_persist(const struct map *map, const _Atomic uint64_t *entry, uint64_t n,
		enum pm_order order)
{
	const struct pm *pm = &map->device->pm;
	int rc = 0;

	if (n > 0)
		rc = pm_flush(pm, (const void *)entry, n * sizeof(entry[0]), order);
	pm_drain(pm, order);
	return rc;
}

struct persist {
	const struct map *map;
	const _Atomic uint64_t *entry;
	uint64_t count;
	enum pm_order order;
	int rc;
};

static void persist_access(void *opaque)
{
	struct persist *p = opaque;

	p->rc = map_persist(p->map, p->entry, p->count, p->order);
}

int map_persist_guarded(const struct map *map, const _Atomic uint64_t *entry, uint64_t n,
			enum pm_order order)
{
	struct persist p = { map, entry, n, order, 0 };
	struct fault fault;

	return guard_run(&map->device->pm, persist_access, &p, &fault) ? p.rc : -EIO;
}
