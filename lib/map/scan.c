/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scan.c - read at open all that names a page: directory, records, tables, leaves.
 *
 * The scan is the only recovery there is (invariant 6): what no entry names is free.  So it checks every
 * entry: that it names a data page, that a table is of the place at which it is named, and that no page is
 * named twice (invariant 5); a page that is named twice is descended into once, so that no image makes it
 * go in circles.  The upper tables, one in 512, are read by the caller, and their leaves in parallel.
 *
 * What can be read need not be on the media.  A server that was killed between a store and its flush
 * leaves the store in the processor's cache, or in the kernel's.  And when the kernel cannot write a page
 * of an ordinary file, it tells it once, takes the page for clean, and goes on showing it: an msync of it
 * succeeds from then on, and the disk has the old one.
 *
 * Pages are free if no entry names them, so one that only the entry on the media names would be given to
 * another block, against invariant 3; and what is found done would be acknowledged, against invariant 8.  So
 * before anything relies on them, the superblock and all pages with entries are flushed (its copy is relied on
 * by repair only, which checks and writes it).  The pages of blocks need none of this: an entry is published
 * when its page is durable (invariant 2).
 *
 * Of an ordinary file the kernel was first asked to forget what it has, so that what is read is what the
 * disk has; whether it could write it before that is no matter.  A page that it did not forget, since it is
 * in use or part of a larger one, is written anew as it is.  Not all are: on a file system that copies
 * what is overwritten that takes room, and a full one could not be served at all.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "map/directory.h"
#include "map/scan.h"
#include "media/guard.h"

/* Leaves that a thread takes at a time, and how many make another thread worth its start. */
#define SCAN_STRIDE	       64u
#define SCAN_LEAVES_PER_THREAD 8192u
#define SCAN_THREADS_MAX       16

/* Entries that become unreadable together: a cache line is the unit of a media error. */
#define LINE_ENTRIES 8u

/* Shared by the threads of one scan. */
struct scan_run {
	struct scan *scan;
	const struct device *device;
	const struct super *super;
	pthread_mutex_t lock;  /* around scan->damaged, and the sums in *scan */
	_Atomic uint64_t next; /* leaf: its number among them */
	bool out_of_memory;
};

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

	for (; table->done < LAYOUT_TABLE_ENTRIES; table->done = table->done + 1)
		table->entry[table->done] =
			atomic_load_explicit(&entry[table->done], memory_order_acquire);
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

/* An entry of a leaf that is not 0. */
static void scan_entry(struct scan_run *run, struct scan_sums *sums, uint64_t block, uint64_t entry)
{
	const struct map *map = &sums->view->map;
	uint64_t page = map_page_of(map, entry);
	bool whole = map_entry_is_whole(map, entry);

	if (page == MAP_BAD_PAGE) {
		sums->wild++;
		report(run, sums, whole ? DAMAGE_WILD : DAMAGE_TURNED, 0, block,
		       layout_entry_page(entry));
		return;
	}
	sums->used++;
	/* Relaxed, here and below: read after the threads have been joined. */
	atomic_fetch_add_explicit(&sums->view->used, 1, memory_order_relaxed);
	if (block >= map->record.blocks)
		atomic_fetch_add_explicit(&sums->view->past, 1, memory_order_relaxed);
	name_page(run, sums, 0, block, page);
}

static void scan_leaf(struct scan_run *run, struct scan_sums *sums, const struct scan_page *leaf)
{
	uint64_t block = leaf->number << LAYOUT_TABLE_SHIFT, bad;
	struct table_copy table;

	sums->view = &run->scan->views[leaf->view];
	table.map = &sums->view->map;
	table.page = leaf->page;
	bad = fetch(run, &table);
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++, block++) {
		if (bad >> (i / LINE_ENTRIES) & 1) {
			sums->unreadable++;
			report(run, sums, DAMAGE_UNREADABLE, 0, block, 0);
		} else if (table.entry[i] != 0) {
			scan_entry(run, sums, block, table.entry[i]);
		}
	}
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

/* Note a page with entries, before the first look at it. */
static void note_page(struct scan_run *run, struct scan_page page)
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

/* An entry that is not 0, which should name the table at a place. */
static void scan_table_entry(struct scan_run *run, struct scan_sums *sums, unsigned int level,
			     uint64_t number, uint64_t entry)
{
	struct scan_view *view = sums->view;
	uint64_t page = map_table_of(&view->map, entry, level, number);

	if (page == MAP_BAD_PAGE) {
		sums->wild++;
		report(run, sums, DAMAGE_TURNED, level, number, layout_entry_page(entry));
		return;
	}
	if (!name_page(run, sums, level, number, page))
		return;
	if (number >= record_tables(view->map.record.blocks, level))
		view->past++;
	view->tables++;
	run->scan->tables++;
	note_page(run, (struct scan_page){ .page = page,
					   .number = number,
					   .view = (uint16_t)(view - run->scan->views),
					   .level = (uint8_t)level });
}

/* The entries of a table above the leaves. */
static void scan_table(struct scan_run *run, struct scan_sums *sums, const struct scan_page *upper)
{
	unsigned int level = upper->level - 1u;
	uint64_t number = upper->number << LAYOUT_TABLE_SHIFT;
	struct table_copy table;
	uint64_t bad;

	sums->view = &run->scan->views[upper->view];
	table.map = &sums->view->map;
	table.page = upper->page;
	bad = fetch(run, &table);
	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++, number++) {
		if (bad >> (i / LINE_ENTRIES) & 1) {
			sums->unreadable++;
			report(run, sums, DAMAGE_UNREADABLE, level, number, 0);
		} else if (table.entry[i] != 0) {
			scan_table_entry(run, sums, level, number, table.entry[i]);
		}
	}
}

static void scan_root(struct scan_run *run, struct scan_sums *sums)
{
	const struct map *map = &sums->view->map;
	uint64_t entry = 0;

	if (!guard_read(&map->device->pm, &entry, (const void *)map->root, sizeof(entry))) {
		sums->unreadable++;
		report(run, sums, DAMAGE_UNREADABLE, map->record.height, 0, 0);
	} else if (entry != 0) {
		scan_table_entry(run, sums, map->record.height, 0, entry);
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

/* ---- directory and records ------------------------------------------------------------------ */

static void problem(struct scan *scan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void problem(struct scan *scan, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (scan->problems++ == 0)
		vsnprintf(scan->problem, sizeof(scan->problem), format, args);
	va_end(args);
}

/* The page of the record that an entry of the directory names, 0 for none. */
static uint64_t find_record(struct scan_run *run, unsigned int number)
{
	uint64_t entry = 0, copy = 0, page = UINT64_MAX, copy_page = UINT64_MAX;
	struct scan *scan = run->scan;

	if (directory_load(run->device, run->super, number, false, &entry))
		page = directory_page_of(run->super, entry, number);
	if (directory_load(run->device, run->super, number, true, &copy))
		copy_page = directory_page_of(run->super, copy, number);
	if (copy_page == UINT64_MAX)
		problem(scan, "entry %u of the directory's copy is damaged", number);
	if (page == UINT64_MAX) {
		problem(scan, "entry %u of the directory is damaged", number);
		/* The copy stands in for what cannot be followed, and for nothing else. */
		return copy_page == UINT64_MAX ? 0 : copy_page;
	}
	if (page == 0 && copy_page != 0)
		problem(scan, "entry %u of the directory is lost: its copy has one", number);
	if (page != copy_page)
		scan->unequal = true;
	return page == 0 && copy_page != UINT64_MAX ? copy_page : page;
}

/* True if another volume has the name, or the record's page. */
static bool is_known(const struct scan *scan, const struct record *record, uint64_t page)
{
	for (unsigned int i = 0; i < scan->view_count; i++)
		if (scan->views[i].page == page ||
		    strcmp(scan->views[i].map.record.name, record->name) == 0)
			return true;
	return false;
}

static void find_view(struct scan_run *run, unsigned int number)
{
	uint64_t page = find_record(run, number);
	struct scan *scan = run->scan;
	struct record_verdict verdict;
	struct record record;
	struct scan_view *view;

	if (page == 0)
		return;
	note_page(run, (struct scan_page){ .page = page });
	if (!record_read(run->device, page, &record, &verdict)) {
		problem(scan, "the record of volume %u is damaged: %s", number, verdict.reason);
		return;
	}
	if (is_known(scan, &record, page)) {
		problem(scan, "volume %u has the name or the record of another, %s", number,
			record.name);
		return;
	}
	view = &scan->views[scan->view_count++];
	view->number = number;
	view->page = page;
	map_open(&view->map, run->device, run->super, &record, page);
	bitmap_set(scan->named, page - super_data_start(run->super));
	scan->tables++;
}

static void find_views(struct scan_run *run)
{
	const struct super *super = run->super;

	for (uint64_t page = super->directory_start; page < super_data_start(super); page++)
		note_page(run, (struct scan_page){ .page = page });
	for (unsigned int i = 0; i < directory_size(super); i++)
		find_view(run, i);
}

/* ---- all ------------------------------------------------------------------------------------ */

int scan_open(struct scan *scan, const struct device *device, const struct super *super)
{
	struct scan_run run = { .scan = scan, .device = device, .super = super };
	uint64_t pages = super_data_pages(super);

	scan->named = bitmap_new(pages);
	scan->twice = bitmap_new(pages);
	scan->views = calloc(directory_size(super) + 1, sizeof(scan->views[0]));
	if (scan->named == NULL || scan->twice == NULL || scan->views == NULL)
		return fail(ENOMEM, "open: %s: out of memory for the map", device->path);
	pthread_mutex_init(&run.lock, NULL);
	find_views(&run);
	scan_tables(&run);
	if (!run.out_of_memory)
		scan_leaves(&run);
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

/* ---- making it durable ---------------------------------------------------------------------- */

struct found {
	const struct pm *pm;
	uint64_t page;
	int rc;
};

static void persist_access(void *opaque)
{
	struct found *found = opaque;
	uint8_t *at = pm_page(found->pm, found->page);

	pm_dirty(found->pm, at, LAYOUT_PAGE_SIZE);
	found->rc = pm_flush(found->pm, at, LAYOUT_PAGE_SIZE, PM_OPEN_FOUND);
}

static int persist_page(const struct device *device, uint64_t page)
{
	struct found found = { .pm = &device->pm, .page = page };
	struct fault fault;

	if (!guard_run(found.pm, persist_access, &found, &fault))
		return fault_fail(device, &fault, "open", true);
	if (found.rc != 0)
		return fail_errno(-found.rc,
				  "open: %s: what was found in it cannot be made durable",
				  device->path);
	return 0;
}

int scan_persist(const struct scan *scan, const struct device *device, bool super_kept)
{
	int rc = super_kept ? persist_page(device, 0) : 0;

	for (uint64_t i = 0; rc == 0 && i < scan->page_count; i++)
		if (scan->pages[i].kept)
			rc = persist_page(device, scan->pages[i].page);
	/* Before the first request, and before a page that no entry names is taken for free. */
	pm_drain(&device->pm, PM_OPEN_FOUND);
	return rc;
}
