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

#define EMPTY_BYTES (LEAF_BYTES / 64)
#define ALL_BYTES   (2 * LEAF_BYTES + EMPTY_BYTES)

#define TOP_HEIGHT_SHIFT 56u

/* Where a walk begins. */
struct top {
	_Atomic uint64_t *root;
	unsigned int height;
};

static struct top top_of(const struct map *map)
{
	/* Acquire, with the release of map_change_record(): the record is seen that it tells of. */
	uint64_t top = atomic_load_explicit(&map->top, memory_order_acquire);

	return (struct top){ record_root(map->device, top & (LAYOUT_MAX_PAGES - 1)),
			     (unsigned int)(top >> TOP_HEIGHT_SHIFT) };
}

void map_open(struct map *map, const struct device *device, const struct super *super,
	      const struct record *record, uint64_t page)
{
	*map = (struct map){
		.device = device,
		.record = *record,
		.family = record->family,
		.is_snapshot = record_is_snapshot(record),
		.blocks = record->blocks,
		.data_start = super_data_start(super),
		.data_pages = super_data_pages(super),
		.checks = super->check != LAYOUT_CHECK_NONE,
		.thin = record_is_thin(record),
		.root = record_root(device, page),
		.top = page | (uint64_t)record->height << TOP_HEIGHT_SHIFT,
	};
	pthread_mutex_init(&map->lock, NULL);
}

void map_close(struct map *map)
{
	map_put_away(map);
	pthread_mutex_destroy(&map->lock);
}

static bool make_usable(_Atomic uint64_t *words, uint64_t count)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = count * sizeof(words[0]);

	return mprotect((void *)words, (bytes + page - 1) & ~(page - 1), PROT_READ | PROT_WRITE) ==
	       0;
}

int map_make_room(struct map *map, uint64_t blocks)
{
	uint64_t leaves = record_tables(blocks, 1);

	if (!make_usable(map->leaf, leaves) || !make_usable(map->before, leaves) ||
	    !make_usable(map->empty, (leaves + 63) / 64))
		return fail(ENOMEM, "open: %s: out of memory for the map", map->device->path);
	return 0;
}

void map_change_record(struct map *map, const struct record *record, uint64_t page)
{
	map->record = *record;
	map->root = record_root(map->device, page);
	/* Relaxed: see map_is_thin(). */
	atomic_store_explicit(&map->thin, record_is_thin(record), memory_order_relaxed);
	/* Release: see top_of(). */
	atomic_store_explicit(&map->top, page | (uint64_t)record->height << TOP_HEIGHT_SHIFT,
			      memory_order_release);
	/* Release: see map_blocks(). */
	atomic_store_explicit(&map->blocks, record->blocks, memory_order_release);
}

void map_close_gate(struct map *map)
{
	/* Relaxed: the grace period that the caller waits for orders it before whatever follows (invariant 11). */
	atomic_fetch_or_explicit(&map->gate, 1, memory_order_relaxed);
}

void map_open_gate(struct map *map)
{
	uint64_t gate = (map_gate(map) >> 1) + 1;

	/*
	 * The epochs begin anew: words of long ago would be taken for present ones.  So all get one that none is of,
	 * the last there could be.
	 */
	gate += (gate & MAP_EPOCH_MASK) == MAP_EPOCH_MASK;
	if ((gate & MAP_EPOCH_MASK) == 0 && map->leaf != NULL)
		for (uint64_t i = 0; i < record_tables(map->record.blocks, 1); i++)
			atomic_store_explicit(&map->leaf[i],
					      map_leaf_word(0, MAP_EPOCH_MASK, false),
					      memory_order_relaxed);
	/* Release: see map_gate(). */
	atomic_store_explicit(&map->gate, gate << 1, memory_order_release);
}

void map_copy_name(struct map *map, char name[LAYOUT_NAME_SIZE])
{
	pthread_mutex_lock(&map->lock);
	memcpy(name, map->record.name, LAYOUT_NAME_SIZE);
	pthread_mutex_unlock(&map->lock);
}

/* A leaf that the walk has found; its whole way is durable: since the open, or by who has made it (invariant 10). */
static void note_leaf(void *opaque, uint64_t number, uint64_t page)
{
	struct map *map = opaque;

	if (number >= record_tables(map->record.blocks, 1))
		return;
	atomic_store_explicit(&map->leaf[number],
			      map_leaf_word(page, map_gate(map) >> 1, map->predecessor == NULL),
			      memory_order_relaxed);
	if (map_may_have_empty(map))
		bitmap_set(map->empty, number);
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
	void *all = mmap(NULL, ALL_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);
	int rc;

	if (all == MAP_FAILED)
		return fail(ENOMEM, "open: %s: out of memory for the map", map->device->path);
	map->leaf = all;
	map->before = (_Atomic uint64_t *)((uint8_t *)all + LEAF_BYTES);
	map->empty = (_Atomic uint64_t *)((uint8_t *)all + 2 * LEAF_BYTES);
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
		munmap((void *)map->leaf, ALL_BYTES);
	map->leaf = NULL;
}

bool map_next_empty(struct map *map, uint64_t *leaf)
{
	uint64_t end = record_tables(map_blocks(map), 1);

	/* Before the bits are looked at: who sets one later sets this again. */
	if (*leaf == 0)
		atomic_store_explicit(&map->may_have_empty, false, memory_order_relaxed);
	*leaf = bitmap_find(map->empty, *leaf, end, true);
	if (*leaf >= end)
		return false;
	bitmap_clear(map->empty, *leaf);
	return true;
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
	struct top top = top_of(map);
	unsigned int level = top.height;
	uint64_t entry, table = 0;

	way->entry = top.root;
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

/*
 * What another map has at a place, by its table above; one that is less high has its root there.  Without its mutex:
 * it may be renamed meanwhile, which replaces its record.
 */
static uint64_t table_below(const struct map *map, uint64_t above, unsigned int level,
			    uint64_t number)
{
	const _Atomic uint64_t *entry;
	struct top top;

	if (above != 0) {
		entry = &map_table(map, above)[number & (LAYOUT_TABLE_ENTRIES - 1)];
	} else {
		/* The record may be replaced, as by a new name. */
		top = top_of(map);
		if (level != top.height || number != 0)
			return 0;
		entry = top.root;
	}
	return map_table_of(map, atomic_load_explicit(entry, memory_order_acquire), level, number);
}

void map_walk_owned(const struct map *map, uint64_t block, unsigned int level, struct map_way *way,
		    uint64_t *before)
{
	/* Acquire: with the release of who made it the predecessor. */
	const struct map *predecessor =
		atomic_load_explicit(&map->predecessor, memory_order_acquire);
	struct top top = top_of(map);

	way->entry = top.root;
	*before = 0;
	for (unsigned int here = top.height;; here--) {
		way->level = here;
		way->number = block >> (LAYOUT_TABLE_SHIFT * here);
		/* Acquire: with the release of who published it, so that its bytes are seen. */
		way->page =
			map_table_of(map, atomic_load_explicit(way->entry, memory_order_acquire),
				     here, way->number);
		if (predecessor != NULL && *before != MAP_BAD_PAGE)
			*before = table_below(predecessor, *before, here, way->number);
		if (here == level || way->page == 0 || way->page == MAP_BAD_PAGE ||
		    way->page == *before)
			return;
		way->entry = &map_table(map, way->page)[block >> (LAYOUT_TABLE_SHIFT * (here - 1)) &
							(LAYOUT_TABLE_ENTRIES - 1)];
	}
}

uint64_t map_page_at(const struct map *map, unsigned int level, uint64_t number)
{
	struct top top = top_of(map);
	const _Atomic uint64_t *entry = top.root;
	uint64_t page = 0;

	if (level > top.height || number >> (LAYOUT_TABLE_SHIFT * (top.height - level)) != 0)
		return 0;
	for (unsigned int here = top.height;; here--) {
		uint64_t at = number >> (LAYOUT_TABLE_SHIFT * (here - level));
		uint64_t value = atomic_load_explicit(entry, memory_order_acquire);

		/* `page` is that of the table above, 0 before the first. */
		if (page != 0)
			value = map_trusted(map, page, value);
		page = here == 0 ? map_page_of(map, value) : map_table_of(map, value, here, at);
		if (here == level || page == 0 || page == MAP_BAD_PAGE)
			return page;
		entry = &map_table(map, page)[number >> (LAYOUT_TABLE_SHIFT * (here - 1 - level)) &
					      (LAYOUT_TABLE_ENTRIES - 1)];
	}
}

uint64_t map_find_leaf(const struct map *map, uint64_t block, uint64_t word, uint64_t gate)
{
	struct map_way way;
	bool set;

	map_walk(map, block, &way);
	/*
	 * Unless somebody has set it meanwhile: who makes a leaf sets its word before anything is written to
	 * it, so that what was found is not older than what has been acknowledged.  Release: see map_leaf_page().
	 */
	if (way.page == MAP_BAD_PAGE || map->damaged)
		return way.page;
	set = atomic_compare_exchange_strong_explicit(&map->leaf[map_leaf(block)], &word,
						      map_leaf_word(way.page, gate >> 1, false),
						      memory_order_release, memory_order_acquire);
	/* All who read go by the same, so that none sees what is older than what another has seen. */
	return set || !map_word_is_present(word, gate) ? way.page : layout_entry_page(word);
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
