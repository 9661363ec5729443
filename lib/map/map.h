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
 * by pm_cas() and pm_swap().
 *
 * A volume shares tables with the snapshots that it has: those that its predecessor names at the same place.  Such a
 * table is never changed.  Who wants to change it makes a copy first, from the uppermost down (table.c), and from
 * then on the volume owns it.
 *
 * Memory holds the page of each leaf of a volume that is in use, so that nobody walks from the root to find one.
 * It is true in the epoch in which it was set, and there is a new epoch when the predecessor has become another.  For
 * the moment of that the gate is closed: who changes an entry does so in a section in which he has seen the gate
 * open and the present epoch, and who closes it waits for a grace period (invariants 11 and 12).
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

struct doomed;

struct map {
	const struct device *device;
	struct record record;	 /* changes with the mutex, but for ... */
	uint64_t family;	 /* ... its family, which is here for who does not have it */
	_Atomic uint64_t blocks; /* of it; only grows while the volume is in use */
	uint64_t data_start;	 /* page: entries name pages from here ... */
	uint64_t data_pages;	 /* ... this many */
	bool is_snapshot;
	bool checks; /* entries of leaves have check values */
	bool damaged; /* read-only: something is wrong, and a leaf that is not in `leaf` may be lost */
	/* Pages that more than one entry names, a bit each from data_start on; NULL: none, or for writing. */
	const _Atomic uint64_t *shared;

	_Atomic uint64_t *root; /* on media; changes with the mutex */
	/* The page of the record and, in bits 56 on, its height: one word, for who walks without the mutex. */
	_Atomic uint64_t top;
	/* The epoch, times 2, and 1 more while the gate is closed; changes with the mutex. */
	_Atomic uint64_t gate;
	/* What the present map shares tables with, NULL for nothing; changes with the gate closed. */
	const struct map *_Atomic predecessor;
	/* No pages are reserved for overwrites of what it shares; changes with the gate closed, too. */
	_Atomic bool thin;
	/* It is being deleted: see doomed.h. */
	struct doomed *_Atomic doomed;
	/*
	 * A word a leaf, see map_leaf_word(): its page, 0 if there is none or it is lost.  Beside it the page of
	 * the predecessor's leaf, set before the word says that the leaf is owned.  NULL: not in use.
	 */
	_Atomic uint64_t *leaf;
	_Atomic uint64_t *before;
	/*
	 * Beside these a bit a leaf: it is new, or a block of it was trimmed, since somebody looked whether there is
	 * any left.  True if there is such a leaf, also while the map is not in use: then nobody knows which.
	 */
	_Atomic uint64_t *empty;
	_Atomic bool may_have_empty;
	/*
	 * What it has, and what of that it owns.  Changed in sections in which the gate was seen open, or with the
	 * mutex, so that they are true once it has been closed: see docs/design.md, "Sums".
	 */
	_Atomic uint64_t used;
	_Atomic uint64_t owned;
	_Atomic uint64_t tables;
	_Atomic uint64_t owned_tables;

	/*
	 * One thread at a time makes or drops a table, or changes the record.  Inside h->volumes_lock, and outside the
	 * pool's; several at once only in the order of their volumes' numbers.  Not taken in a section, for who closes
	 * the gate waits for a grace period with it.
	 */
	pthread_mutex_t lock;
};

/*
 * Relaxed: in a section in which the gate was seen open, with its acquire, it stays the same to the end, and so it does with
 * the mutex; elsewhere it is a guess.
 */
static inline bool map_is_thin(const struct map *map)
{
	return atomic_load_explicit(&map->thin, memory_order_relaxed);
}

/*
 * What is reserved for a volume, its record not counted: a page for each of its blocks, or if it is thin for those
 * that it owns; and one for each table.
 */
static inline uint64_t map_takes(const struct map *map)
{
	return atomic_load_explicit(map_is_thin(map) ? &map->owned : &map->used,
				    memory_order_relaxed) +
	       atomic_load_explicit(&map->tables, memory_order_relaxed);
}

/* Its blocks whose pages are an older view's. */
static inline uint64_t map_shares(const struct map *map)
{
	return atomic_load_explicit(&map->used, memory_order_relaxed) -
	       atomic_load_explicit(&map->owned, memory_order_relaxed);
}

/* Those that it owns. */
static inline uint64_t map_owns(const struct map *map)
{
	return atomic_load_explicit(&map->owned, memory_order_relaxed) +
	       atomic_load_explicit(&map->owned_tables, memory_order_relaxed);
}

#define MAP_EPOCH_BITS 24u
#define MAP_EPOCH_MASK ((UINT64_C(1) << MAP_EPOCH_BITS) - 1)
#define MAP_OWNED      (UINT64_C(1) << 63)

/*
 * A word of `leaf`: bits 0-38 the page, 39-62 the epoch in which that is true, and bit 63 if the leaf is owned and
 * the whole way to it is durable, so that entries in it may be changed.
 */
static inline uint64_t map_leaf_word(uint64_t page, uint64_t epoch, bool owned)
{
	return page | (epoch & MAP_EPOCH_MASK) << LAYOUT_ENTRY_PAGE_BITS | (owned ? MAP_OWNED : 0);
}

static inline bool map_word_is_present(uint64_t word, uint64_t gate)
{
	return ((word >> LAYOUT_ENTRY_PAGE_BITS ^ gate >> 1) & MAP_EPOCH_MASK) == 0;
}

static inline uint64_t map_word_page(uint64_t word)
{
	return word & (LAYOUT_MAX_PAGES - 1);
}

/* Acquire, with the release of map_open_gate(): what the present epoch goes by is seen. */
static inline uint64_t map_gate(const struct map *map)
{
	return atomic_load_explicit(&map->gate, memory_order_acquire);
}

/*
 * With the mutex: hold back who changes entries; after a grace period nobody does.  And a new epoch, in which they go
 * on.
 */
void map_close_gate(struct map *map);
void map_open_gate(struct map *map);

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

/* A leaf may hold nothing.  Relaxed: who looks whether it does closes the gate first. */
static inline void map_note_empty(struct map *map, uint64_t leaf)
{
	if (map->leaf != NULL && !bitmap_test(map->empty, leaf))
		bitmap_set(map->empty, leaf);
	if (!atomic_load_explicit(&map->may_have_empty, memory_order_relaxed))
		atomic_store_explicit(&map->may_have_empty, true, memory_order_relaxed);
}

static inline bool map_may_have_empty(const struct map *map)
{
	return atomic_load_explicit(&map->may_have_empty, memory_order_relaxed);
}

/* The next of these from *leaf on, which is one no more; false, and none is, if there is none. */
bool map_next_empty(struct map *map, uint64_t *leaf);

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
 * The same, to the uppermost table that is not there or is shared; else to that of `level`, which is owned.  *before:
 * what the predecessor has there.  Touches the media: only under a guard.
 */
void map_walk_owned(const struct map *map, uint64_t block, unsigned int level, struct map_way *way,
		    uint64_t *before);

/*
 * The table that a map has at a place, or with level 0 the page of a block: 0 for none, or MAP_BAD_PAGE.  Touches the
 * media: only under a guard.
 */
uint64_t map_page_at(const struct map *map, unsigned int level, uint64_t number);

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

/* The page of a block's leaf by a walk, noted for the next who asks; see map_leaf_page(). */
uint64_t map_find_leaf(const struct map *map, uint64_t block, uint64_t word, uint64_t gate);

/*
 * The page of a block's leaf: 0 if it has none, so that all its blocks are holes.  Of a damaged map, and so
 * read-only, also MAP_BAD_PAGE.  May touch the media: only under a guard, and in a section while it is used.
 *
 * Acquire, with the release of whoever set it: the leaf's bytes, all zero, are seen.
 */
static inline uint64_t map_leaf_page(const struct map *map, uint64_t block)
{
	uint64_t word = atomic_load_explicit(&map->leaf[map_leaf(block)], memory_order_acquire);
	uint64_t gate = map_gate(map);

	if (__builtin_expect(map_word_is_present(word, gate) &&
				     (map_word_page(word) != 0 || !map->damaged),
			     1))
		return map_word_page(word);
	return map_find_leaf(map, block, word, gate);
}

/* A guess, for who does not use it as a page: 0 if there was no leaf a moment ago. */
static inline bool map_may_have_leaf(const struct map *map, uint64_t block)
{
	uint64_t word = atomic_load_explicit(&map->leaf[map_leaf(block)], memory_order_acquire);

	return word != map_leaf_word(0, map_gate(map) >> 1, false) &&
	       word != map_leaf_word(0, map_gate(map) >> 1, true);
}

/* The page of a leaf in which entries may be changed in the epoch of this gate; 0: make one. */
static inline uint64_t map_owned_leaf(const struct map *map, uint64_t block, uint64_t gate)
{
	uint64_t word = atomic_load_explicit(&map->leaf[map_leaf(block)], memory_order_acquire);

	return word & MAP_OWNED && map_word_is_present(word, gate) && !(gate & 1)
		       ? map_word_page(word)
		       : 0;
}

/* The predecessor's leaf beside one that is owned; 0: none.  Relaxed: it was set before the word that is owned. */
static inline uint64_t map_leaf_before(const struct map *map, uint64_t block)
{
	return atomic_load_explicit(&map->before[map_leaf(block)], memory_order_relaxed);
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
	page = map_word_page(
		atomic_load_explicit(&map->leaf[map_leaf(block)], memory_order_relaxed));
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
