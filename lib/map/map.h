/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.h - a volume's way from block to page.
 *
 * A map is a tree of tables, like a processor's page tables: each table is a data page of 512 entries; those
 * of a leaf, a table of level 1, name the pages of blocks, those of other tables name tables.  The root entry
 * is in the volume's record.  A table's place is its level and its number: number n of level 1 has blocks
 * 512 n and on.
 *
 * An entry is the one word that makes a page the content of a block, or of a place; it is only ever changed
 * by pm_cas() and pm_swap().  Memory holds the page of each leaf of a volume that is in use, so that nobody
 * walks from the root to find one: `leaf` is set when map_prepare(), or table_make(), knows that the whole way to
 * it is durable.
 */
#ifndef MAP_H
#define MAP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bitmap.h"
#include "map/record.h"
#include "map/super.h"
#include "media/crc24.h"
#include "media/device.h"

struct map {
	const struct device *device;
	struct record record;	 /* changes with the mutex, but for ... */
	uint64_t family;	 /* ... its family, which is here for who does not have it */
	_Atomic uint64_t blocks; /* of it; only grows while the volume is in use */
	uint64_t data_start;	 /* page: entries name pages from here ... */
	uint64_t data_pages;	 /* ... this many */
	bool checks;		 /* entries of leaves have check values */
	bool damaged; /* read-only: something is wrong, and a leaf that is not in `leaf` may be lost */
	/* Pages that more than one entry names, a bit each from data_start on; NULL: none, or for writing. */
	const _Atomic uint64_t *shared;

	_Atomic uint64_t *root; /* on media; changes with the mutex */
	_Atomic uint64_t
		*leaf; /* page of each leaf; 0: there is none, or it is lost; NULL: not in use */
	/* One thread at a time makes a table or changes the record; nests inside none. */
	pthread_mutex_t lock;
};

/* A map of a volume, whose record is on `page`. */
void map_open(struct map *map, const struct device *device, const struct super *super,
	      const struct record *record, uint64_t page);
void map_close(struct map *map);

/*
 * Use it, and the end of that: what is between them may find leaves.  0, or -ENOMEM with message; -EUCLEAN, too,
 * where the device is open for writing and not all of the map can be followed.  Not under a guard.
 */
int map_prepare(struct map *map);
void map_put_away(struct map *map);

/*
 * While it is in use, make room for the leaves of so many blocks: 0 or -ENOMEM with message.  And with the
 * mutex: its record has become another, on another page, which is durable.
 */
int map_make_room(struct map *map, uint64_t blocks);
void map_change_record(struct map *map, const struct record *record, uint64_t page);

/* The volume's name, for who does not have the mutex: a message may be about to be made while it changes. */
void map_copy_name(struct map *map, char name[LAYOUT_NAME_SIZE]);

static inline uint64_t map_blocks(const struct map *map)
{
	/* Acquire, with the release of who made it grow: there is room for its leaves. */
	return atomic_load_explicit(&map->blocks, memory_order_acquire);
}

/*
 * Flush `n` adjacent entries, and drain.  0 or -errno without message: then nothing may rely on them.  Touches
 * the media: only under a guard; the second brings its own.
 */
int map_persist(const struct map *map, const _Atomic uint64_t *entry, uint64_t n,
		enum pm_order order);
int map_persist_guarded(const struct map *map, const _Atomic uint64_t *entry, uint64_t n,
			enum pm_order order);

/* What the calls below say of an entry that cannot be followed, and such an entry: its bits are odd. */
#define MAP_BAD_PAGE  UINT64_MAX
#define MAP_BAD_ENTRY UINT64_C(1)

/* Where a way ends. */
struct map_way {
	_Atomic uint64_t *entry; /* the last that there is */
	unsigned int level;	 /* of the table that it names, or should ... */
	uint64_t number;	 /* ... and its number */
	uint64_t page;		 /* the leaf, or 0 if `entry` is 0, or MAP_BAD_PAGE */
};

/* Walk from the root to the leaf of a block.  Touches the media: only under a guard. */
void map_walk(const struct map *map, uint64_t block, struct map_way *way);

/*
 * What is called for each table, those below before it, so that it may let go of what it is shown; either may be
 * NULL.
 */
struct map_visitor {
	void (*leaf)(void *opaque, uint64_t number, uint64_t page);
	void (*table)(void *opaque, uint64_t page); /* that is no leaf */
	void *opaque;
};

/*
 * All tables; and the one that `entry` names at a place, with all below it.  False if something could not be
 * followed; all else was visited.  Not under a guard.
 */
bool map_visit(const struct map *map, const struct map_visitor *visitor);
bool map_visit_below(const struct map *map, uint64_t entry, unsigned int level, uint64_t number,
		     const struct map_visitor *visitor);

static inline uint64_t map_leaf(uint64_t block)
{
	return block >> LAYOUT_TABLE_SHIFT;
}

static inline bool map_names_data(const struct map *map, uint64_t page)
{
	/* Below data_start the difference wraps and is huge. */
	return page - map->data_start < map->data_pages;
}

/* True for 0, and for what a sound device could hold as far as its bits tell. */
static inline bool map_entry_is_whole(const struct map *map, uint64_t entry)
{
	return layout_entry_is_even(entry) && (map->checks || layout_entry_check(entry) == 0);
}

/* What a leaf's entry says: a data page, 0 for none, or MAP_BAD_PAGE (invariant 7). */
static inline uint64_t map_page_of(const struct map *map, uint64_t entry)
{
	uint64_t page = layout_entry_page(entry);

	if (__builtin_expect(map_names_data(map, page) && map_entry_is_whole(map, entry), 1))
		return page;
	return entry == 0 ? 0 : MAP_BAD_PAGE;
}

/* The same of an entry that names the table at a place. */
uint64_t map_table_of(const struct map *map, uint64_t entry, unsigned int level, uint64_t number);

/* The entry that names it. */
static inline uint64_t map_table_entry(const struct map *map, uint64_t page, unsigned int level,
				       uint64_t number)
{
	return layout_pack_entry(page, crc24_place(map->family, page, level, number));
}

static inline struct crc24_prefix map_prefix(const struct map *map, uint64_t block)
{
	return (struct crc24_prefix){ map->family, block };
}

/* The entries of a table. */
static inline _Atomic uint64_t *map_table(const struct map *map, uint64_t page)
{
	return (_Atomic uint64_t *)pm_page(&map->device->pm, page);
}

/* True if more than one entry names a data page, so that nobody knows whose it is. */
static inline bool map_is_shared(const struct map *map, uint64_t page)
{
	return __builtin_expect(map->shared != NULL, 0) &&
	       bitmap_test(map->shared, page - map->data_start);
}

/*
 * An entry as it stands in the table on `page`.  One with a check value shows whose it is; in a table that is
 * named twice an entry of 0 does not, and is a bad one.  (Without check values no such table is followed.)
 */
static inline uint64_t map_trusted(const struct map *map, uint64_t page, uint64_t entry)
{
	return entry == 0 && map_is_shared(map, page) ? MAP_BAD_ENTRY : entry;
}

/*
 * The page of a block's leaf: 0 if it has none, so that all its blocks are holes.  Of a damaged map, and so
 * read-only, also MAP_BAD_PAGE; there it touches the media: only under a guard.
 *
 * Acquire, with the release of whoever set it: the leaf's bytes, all zero, are seen.
 */
static inline uint64_t map_leaf_page(const struct map *map, uint64_t block)
{
	uint64_t page = atomic_load_explicit(&map->leaf[map_leaf(block)], memory_order_acquire);
	struct map_way way;

	if (__builtin_expect(page != 0 || !map->damaged, 1))
		return page;
	map_walk(map, block, &way);
	return way.page;
}

/*
 * Begin to fetch a block's entry, which is seldom cached.  First of all in a request, so that it is
 * on its way while the rest is set up: a twelfth of a 4 KiB read at random, measured.  Any block number will
 * do.
 */
static inline void map_prefetch(const struct map *map, uint64_t block)
{
	uint64_t page;

	if (__builtin_expect(block >= map_blocks(map), 0))
		return;
	page = atomic_load_explicit(&map->leaf[map_leaf(block)], memory_order_relaxed);
	__builtin_prefetch((const void *)&map_table(map, page)[block % LAYOUT_TABLE_ENTRIES], 1);
}

/*
 * The entry of a block, and the page that it names.  Touch the media: only under a guard.
 *
 * Acquire: pairs with the release in pm_cas(), so that the page's contents, stored before it was
 * published, are seen.  Without it a reader could see the new entry and the page's old bytes.
 */
static inline uint64_t map_entry(const struct map *map, uint64_t block)
{
	uint64_t page = map_leaf_page(map, block);

	if (__builtin_expect(page == 0, 0))
		return 0;
	if (__builtin_expect(page == MAP_BAD_PAGE, 0))
		return MAP_BAD_ENTRY;
	return map_trusted(map, page,
			   atomic_load_explicit(&map_table(map, page)[block % LAYOUT_TABLE_ENTRIES],
						memory_order_acquire));
}

static inline uint64_t map_load(const struct map *map, uint64_t block)
{
	return map_page_of(map, map_entry(map, block));
}

#endif /* MAP_H */
