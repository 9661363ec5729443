/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scan.c - read at open all that names a page: directory, records, tables, leaves.
 *
 * The scan is the only recovery there is (invariant 6): what no entry names is free.  So it checks every
 * entry: that it names a data page, that a table is of the place at which it is named, and that no page is
 * named twice (invariant 5); a page that is named twice is descended into once, so that no image makes it
 * go in circles.  The upper tables, one in 512, are read by the caller, and their leaves in parallel.
 *
 * A view may name what its predecessor names at the same place: that is shared, it is looked at with the
 * predecessor, and so costs nothing here.  Of each view it is counted what it owns, and how much more or less it has than
 * its predecessor; at the end these are summed up from the oldest on.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "map/directory.h"
#include "map/scan-run.h"
#include "map/scan.h"
#include "media/guard.h"

/* Leaves that a thread takes at a time, and how many make another thread worth its start. */
#define SCAN_STRIDE	       64u
#define SCAN_LEAVES_PER_THREAD 8192u
#define SCAN_THREADS_MAX       16

/* Entries that become unreadable together: a cache line is the unit of a media error. */
#define LINE_ENTRIES 8u

/*
 * Pages are named in no order, so each bit of them would be waited for.  It is fetched so many entries ahead;
 * measured: 8 are too few, and at 64 a part is gone again.
 */
#define AHEAD 32u

/* One thread's sums, and what it is looking at. */
struct scan_sums {
	struct scan_view *view;
	uint64_t used, wild, unreadable, twice;
};

static void report(struct scan_run *run, struct scan_sums *sums, enum map_damage damage,
		   unsigned int level, uint64_t number, uint64_t page)
{
	/* Relaxed: read after the threads have been joined. */
	atomic_fetch_add_explicit(&sums->view->damaged, 1, memory_order_relaxed);
	if (run->scan->damaged == NULL)
		return;
	pthread_mutex_lock(&run->lock);
	run->scan->damaged(run->scan->damaged_opaque, damage, sums->view, level, number, page);
	pthread_mutex_unlock(&run->lock);
}

/* A data page is named.  False if it was before. */
static bool name_page(struct scan_run *run, struct scan_sums *sums, unsigned int level,
		      uint64_t number, uint64_t page)
{
	uint64_t bit = page - super_data_start(run->super);

	if (!bitmap_set(run->scan->named, bit))
		return true;
	if (!bitmap_set(run->scan->twice, bit))
		sums->twice++;
	report(run, sums, DAMAGE_SHARED, level, number, page);
	return false;
}

static void add_sums(struct scan_run *run, const struct scan_sums *sums)
{
	pthread_mutex_lock(&run->lock);
	run->scan->used += sums->used;
	run->scan->wild += sums->wild;
	run->scan->unreadable += sums->unreadable;
	run->scan->named_twice += sums->twice;
	pthread_mutex_unlock(&run->lock);
}

/* ---- the entries of one table --------------------------------------------------------------- */

/* A table's entries, copied out. */
struct table_copy {
	const struct map *map;
	uint64_t page;
	volatile unsigned int done; /* read after a fault */
	uint64_t entry[LAYOUT_TABLE_ENTRIES];
};

static void fetch_access(void *opaque)
{
	struct table_copy *table = opaque;
	const _Atomic uint64_t *entry = map_table(table->map, table->page);

	for (; table->done < LAYOUT_TABLE_ENTRIES; table->done = table->done + LINE_ENTRIES)
		for (unsigned int i = table->done, end = i + LINE_ENTRIES; i < end; i++)
			table->entry[i] = atomic_load_explicit(&entry[i], memory_order_acquire);
}

/* Copy a table out; a line with a media error is passed over, and sets its bit in the result. */
static uint64_t fetch(const struct scan_run *run, struct table_copy *table)
{
	uint64_t bad = 0, page;
	struct fault fault;

	if (run->scan->bad != NULL &&
	    badblocks_find(run->scan->bad, table->page, table->page + 1, &page))
		return UINT64_MAX;
	table->done = 0;
	while (!guard_run(&table->map->device->pm, fetch_access, table, &fault)) {
		bad |= 1ull << (table->done / LINE_ENTRIES);
		table->done = (table->done / LINE_ENTRIES + 1) * LINE_ENTRIES;
	}
	return bad;
}

/* More in one place than the predecessor has there: relaxed, read after the threads have been joined. */
static void count(_Atomic uint64_t *sum, uint64_t more)
{
	if (more != 0)
		atomic_fetch_add_explicit(sum, more, memory_order_relaxed);
}

/* The pages that a leaf of the predecessor names; what cannot be followed is told where it belongs. */
static unsigned int fetch_below(const struct scan_run *run, const struct scan_view *view,
				uint64_t page, uint64_t pages[LAYOUT_TABLE_ENTRIES])
{
	struct table_copy table = { .page = page };
	unsigned int n = 0;
	uint64_t bad;

	memset(pages, 0, LAYOUT_TABLE_ENTRIES * sizeof(pages[0]));
	if (page == 0)
		return 0;
	table.map = &view->predecessor->map;
	bad = fetch(run, &table);
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++)
		if (!(bad >> (i / LINE_ENTRIES) & 1)) {
			pages[i] = map_page_of(table.map, table.entry[i]);
			n += pages[i] != 0 && pages[i] != MAP_BAD_PAGE;
		}
	return n;
}

/* What the entries of a leaf name.  False if one cannot be followed, which is then MAP_BAD_PAGE. */
static bool follow(const struct map *restrict map, const uint64_t *restrict entry,
		   uint64_t *restrict pages)
{
	bool whole = true;

	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++) {
		pages[i] = map_page_of(map, entry[i]);
		whole &= pages[i] != MAP_BAD_PAGE;
	}
	return whole;
}

/* Tell what of a leaf cannot be read or followed; it names nothing. */
static void judge(struct scan_run *run, struct scan_sums *sums, uint64_t block,
		  const struct table_copy *leaf, uint64_t bad, uint64_t pages[LAYOUT_TABLE_ENTRIES])
{
	const struct map *map = leaf->map;

	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++, block++) {
		uint64_t entry = leaf->entry[i];

		if (bad >> (i / LINE_ENTRIES) & 1) {
			sums->unreadable++;
			report(run, sums, DAMAGE_UNREADABLE, 0, block, 0);
		} else if (pages[i] == MAP_BAD_PAGE) {
			sums->wild++;
			report(run, sums,
			       map_entry_is_whole(map, entry) ? DAMAGE_WILD : DAMAGE_TURNED, 0,
			       block, layout_entry_page(entry));
		} else {
			continue;
		}
		pages[i] = 0;
	}
}

/* The pages that a leaf names. */
static void find_named(struct scan_run *run, struct scan_sums *sums, const struct scan_page *leaf,
		       uint64_t pages[LAYOUT_TABLE_ENTRIES])
{
	struct table_copy table;
	uint64_t bad;

	table.map = &sums->view->map;
	table.page = leaf->page;
	bad = fetch(run, &table);
	/* What was not read is not followed. */
	for (unsigned int i = 0; bad != 0 && i < LAYOUT_TABLE_ENTRIES; i++)
		if (bad >> (i / LINE_ENTRIES) & 1)
			table.entry[i] = 0;
	if (!follow(table.map, table.entry, pages) || bad != 0)
		judge(run, sums, leaf->number << LAYOUT_TABLE_SHIFT, &table, bad, pages);
}

static void scan_leaf(struct scan_run *run, struct scan_sums *sums, const struct scan_page *leaf)
{
	uint64_t pages[LAYOUT_TABLE_ENTRIES], below[LAYOUT_TABLE_ENTRIES];
	uint64_t first = leaf->number << LAYOUT_TABLE_SHIFT;
	unsigned int used = 0, used_below, owned = 0, past = 0;
	uint64_t start = super_data_start(run->super), blocks;

	sums->view = &run->scan->views[leaf->view];
	blocks = sums->view->map.record.blocks;
	used_below = fetch_below(run, sums->view, leaf->below, below);
	find_named(run, sums, leaf, pages);
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++) {
		if (i + AHEAD < LAYOUT_TABLE_ENTRIES && pages[i + AHEAD] != 0)
			bitmap_prefetch(run->scan->named, pages[i + AHEAD] - start);
		if (pages[i] == 0)
			continue;
		used++;
		if (pages[i] == below[i])
			continue;
		owned++;
		past += first + i >= blocks;
		name_page(run, sums, 0, first + i, pages[i]);
	}
	sums->used += owned;
	count(&sums->view->owned, owned);
	count(&sums->view->past, past);
	count(&sums->view->used, (uint64_t)used - used_below);
	if (used == 0)
		map_note_empty(&sums->view->map, leaf->number);
}

/* ---- all leaves ----------------------------------------------------------------------------- */

static void scan_some(struct scan_run *run, bool caller)
{
	const struct scan *scan = run->scan;
	uint64_t first = scan->page_count - scan->leaves, i, end;
	struct scan_sums sums = { 0 };

	for (;;) {
		i = atomic_fetch_add_explicit(&run->next, SCAN_STRIDE, memory_order_relaxed);
		if (i >= scan->leaves)
			break;
		end = i + SCAN_STRIDE < scan->leaves ? i + SCAN_STRIDE : scan->leaves;
		for (; i < end; i++)
			scan_leaf(run, &sums, &scan->pages[first + i]);
		if (caller && scan->progress != NULL && end < scan->leaves)
			scan->progress(scan->progress_opaque, end, scan->leaves);
	}
	add_sums(run, &sums);
}

static void *scan_thread(void *run)
{
	scan_some(run, false);
	return NULL;
}

static void scan_leaves(struct scan_run *run)
{
	const struct scan *scan = run->scan;
	pthread_t threads[SCAN_THREADS_MAX];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t wanted = scan->leaves / SCAN_LEAVES_PER_THREAD;
	unsigned int started = 0;

	if (wanted > SCAN_THREADS_MAX)
		wanted = SCAN_THREADS_MAX;
	if (cpus > 0 && wanted > (uint64_t)cpus - 1)
		wanted = (uint64_t)cpus - 1;
	/* Fewer threads than wanted only take longer: the caller scans too. */
	while (started < wanted && thread_start(&threads[started], 0, scan_thread, run) == 0)
		started++;
	scan_some(run, true);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	if (scan->progress != NULL)
		scan->progress(scan->progress_opaque, scan->leaves, scan->leaves);
}

/* ---- the tables above ----------------------------------------------------------------------- */

void scan_note_page(struct scan_run *run, struct scan_page page)
{
	struct scan *scan = run->scan;
	uint64_t room = scan->page_room;

	if (scan->page_count == room) {
		struct scan_page *pages;

		room = room == 0 ? 64 : 2 * room;
		pages = realloc(scan->pages, room * sizeof(pages[0]));
		if (pages == NULL) {
			run->out_of_memory = true;
			return;
		}
		scan->pages = pages;
		scan->page_room = room;
	}
	page.kept = scan->for_writing && pm_is_kept(&run->device->pm, page.page);
	scan->pages[scan->page_count++] = page;
}

/* The page of a map's uppermost table; 0 for none, and if it cannot be followed. */
static uint64_t root_of(const struct map *map)
{
	uint64_t entry, page;

	if (!guard_read(&map->device->pm, &entry, (const void *)map->root, sizeof(entry)))
		return 0;
	page = map_table_of(map, entry, map->record.height, 0);
	return page == MAP_BAD_PAGE ? 0 : page;
}

/* Its predecessor has a table at a place where it has none: neither that counts, nor what is below it. */
static void subtract(struct scan_run *run, struct scan_view *view, unsigned int level,
		     uint64_t number, uint64_t page)
{
	const struct map *map = &view->predecessor->map;
	uint64_t pages[LAYOUT_TABLE_ENTRIES];
	struct table_copy table = { .map = map, .page = page };
	uint64_t bad;

	count(&view->tables, -UINT64_C(1));
	if (level == 1) {
		count(&view->used, -(uint64_t)fetch_below(run, view, page, pages));
		return;
	}
	bad = fetch(run, &table);
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++) {
		uint64_t below = number << LAYOUT_TABLE_SHIFT | i;

		if (bad >> (i / LINE_ENTRIES) & 1)
			continue;
		page = map_table_of(map, table.entry[i], level - 1, below);
		if (page != 0 && page != MAP_BAD_PAGE)
			subtract(run, view, level - 1, below, page);
	}
}

/* There is no table at a place; the predecessor has `below` there, or, if it is less high, its root. */
static void scan_nothing(struct scan_run *run, struct scan_view *view, unsigned int level,
			 uint64_t number, uint64_t below)
{
	const struct scan_view *predecessor = view->predecessor;

	if (predecessor != NULL && level > predecessor->map.record.height && number == 0) {
		level = predecessor->map.record.height;
		below = root_of(&predecessor->map);
	}
	if (below != 0)
		subtract(run, view, level, number, below);
}

/* An entry, which should name the table at a place, and the table that the predecessor has there. */
static void scan_table_entry(struct scan_run *run, struct scan_sums *sums, unsigned int level,
			     uint64_t number, uint64_t entry, uint64_t below)
{
	struct scan_view *view = sums->view;
	uint64_t page = map_table_of(&view->map, entry, level, number);

	if (page == MAP_BAD_PAGE) {
		sums->wild++;
		report(run, sums, DAMAGE_TURNED, level, number, layout_entry_page(entry));
		return;
	}
	if (page == 0)
		scan_nothing(run, view, level, number, below);
	if (page == 0 || page == below)
		return;
	if (!name_page(run, sums, level, number, page))
		return;
	if (number >= record_tables(view->map.record.blocks, level))
		view->past++;
	view->tables += below == 0;
	view->owned_tables++;
	run->scan->tables++;
	scan_note_page(run, (struct scan_page){ .page = page,
						.number = number,
						.below = below,
						.view = (uint16_t)(view - run->scan->views),
						.level = (uint8_t)level });
}

/* The table that the predecessor has at a place: by its own table above, or as its root. */
static uint64_t find_below(const struct scan_view *view, const struct table_copy *above,
			   unsigned int index, unsigned int level, uint64_t number)
{
	const struct map *map = view->predecessor == NULL ? NULL : &view->predecessor->map;
	uint64_t page = 0;

	if (map != NULL && above->page != 0)
		page = map_table_of(map, above->entry[index], level, number);
	else if (map != NULL && level == map->record.height && number == 0)
		page = root_of(map);
	return page == MAP_BAD_PAGE ? 0 : page;
}

/* The entries of a table above the leaves. */
static void scan_table(struct scan_run *run, struct scan_sums *sums, const struct scan_page *upper)
{
	unsigned int level = upper->level - 1u;
	uint64_t number = upper->number << LAYOUT_TABLE_SHIFT;
	struct table_copy table, below = { .page = upper->below };
	uint64_t bad;

	sums->view = &run->scan->views[upper->view];
	table.map = &sums->view->map;
	table.page = upper->page;
	bad = fetch(run, &table);
	if (below.page != 0) {
		below.map = &sums->view->predecessor->map;
		/* What cannot be read there is told of the predecessor, and is nothing here. */
		memset(below.entry, 0, sizeof(below.entry));
		(void)fetch(run, &below);
	}
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++, number++) {
		uint64_t page = find_below(sums->view, &below, i, level, number);

		if (bad >> (i / LINE_ENTRIES) & 1) {
			sums->unreadable++;
			report(run, sums, DAMAGE_UNREADABLE, level, number, 0);
		} else {
			scan_table_entry(run, sums, level, number, table.entry[i], page);
		}
	}
}

static void scan_root(struct scan_run *run, struct scan_sums *sums)
{
	const struct map *map = &sums->view->map;
	unsigned int height = map->record.height;
	struct table_copy none = { .page = 0 };
	uint64_t entry = 0, below = find_below(sums->view, &none, 0, height, 0);

	if (!guard_read(&map->device->pm, &entry, (const void *)map->root, sizeof(entry))) {
		sums->unreadable++;
		report(run, sums, DAMAGE_UNREADABLE, height, 0, 0);
	} else {
		scan_table_entry(run, sums, height, 0, entry, below);
	}
}

static int by_level(const void *a, const void *b)
{
	return ((const struct scan_page *)b)->level - ((const struct scan_page *)a)->level;
}

/* From the roots down, so that no table is read before it has been named once. */
static void scan_tables(struct scan_run *run)
{
	struct scan *scan = run->scan;
	struct scan_sums sums = { 0 };
	uint64_t first = scan->page_count;

	for (unsigned int i = 0; i < scan->view_count; i++) {
		sums.view = &scan->views[i];
		scan_root(run, &sums);
	}
	for (uint64_t i = first; i < scan->page_count && !run->out_of_memory; i++) {
		struct scan_page page = scan->pages[i];

		if (page.level > 1)
			scan_table(run, &sums, &page);
		scan->leaves += page.level == 1;
	}
	/* Maps differ in height: leaves last. */
	if (scan->view_count > 1)
		qsort(&scan->pages[first], scan->page_count - first, sizeof(scan->pages[0]),
		      by_level);
	add_sums(run, &sums);
}

/* ---- sums ----------------------------------------------------------------------------------- */

/* Where maps are damaged, not all that is less was once counted as more. */
static uint64_t add(uint64_t sum, uint64_t more)
{
	return (int64_t)(sum + more) < 0 ? 0 : sum + more;
}

/* What a view has is what its predecessor has, and what was found to be more, or less. */
static void sum_up(struct scan_view *view)
{
	struct scan_view *chain = NULL, *next;

	/* To the oldest that is not summed up, turning the pointers, and back: a chain may be long. */
	while (view != NULL && !view->summed) {
		next = view->predecessor;
		view->predecessor = chain;
		chain = view;
		view = next;
	}
	while (chain != NULL) {
		next = chain->predecessor;
		chain->predecessor = view;
		if (view != NULL) {
			chain->used = add(view->used, chain->used);
			chain->tables = add(view->tables, chain->tables);
		}
		chain->summed = true;
		view = chain;
		chain = next;
	}
}

static void add_up(struct scan *scan)
{
	for (unsigned int i = 0; i < scan->view_count; i++) {
		struct scan_view *view = &scan->views[i];
		const struct record *record = &view->map.record;

		sum_up(view);
		scan->reserved += 1;
		scan->reserved += record_is_snapshot(record) || record_is_thin(record) ? view->owned
										       : view->used;
		scan->reserved += record_is_snapshot(record) ? view->owned_tables : view->tables;
	}
}

/* ---- all ------------------------------------------------------------------------------------ */

int scan_open(struct scan *scan, const struct device *device, const struct super *super)
{
	struct scan_run run = { .scan = scan, .device = device, .super = super };
	uint64_t pages = super_data_pages(super);

	scan->named = bitmap_new_huge(pages);
	scan->twice = bitmap_new(pages);
	scan->views = calloc(directory_size(super) + 1, sizeof(scan->views[0]));
	if (scan->named == NULL || scan->twice == NULL || scan->views == NULL)
		return fail(ENOMEM, "open: %s: out of memory for the map", device->path);
	pthread_mutex_init(&run.lock, NULL);
	scan_find_views(&run);
	if (!run.out_of_memory)
		scan_tables(&run);
	if (!run.out_of_memory)
		scan_leaves(&run);
	add_up(scan);
	pthread_mutex_destroy(&run.lock);
	if (run.out_of_memory)
		return fail(ENOMEM, "open: %s: out of memory for the map", device->path);
	return 0;
}

void scan_free(struct scan *scan)
{
	for (unsigned int i = 0; i < scan->view_count; i++)
		map_close(&scan->views[i].map);
	free((void *)scan->named);
	free((void *)scan->twice);
	free(scan->views);
	free(scan->pages);
	*scan = (struct scan){ 0 };
}
