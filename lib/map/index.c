/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * index.c - read the whole index at open, and the slower services of index.h.
 *
 * The scan is the only recovery there is (invariant 6): what no entry names is free.  It goes leaf
 * by leaf, in parallel on a large device, and checks every entry: that it names a data page, and
 * that no page is named twice (invariant 5).  Leaves without storage are skipped, since loading
 * from one would allocate it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"
#include "map/index.h"
#include "media/guard.h"

/* Leaves that a thread takes at a time, and how many make another thread worth its start. */
#define SCAN_STRIDE	       64u
#define SCAN_LEAVES_PER_THREAD 8192u
#define SCAN_THREADS_MAX       16

/* Entries that become unreadable together: a cache line is the unit of a media error. */
#define LINE_ENTRIES 8u

/* Shared by the threads of one scan. */
struct scan_run {
	struct index *index;
	struct index_scan *scan;
	pthread_mutex_t lock;  /* around scan->damaged, and the sums in *index */
	_Atomic uint64_t next; /* leaf */
};

/* One thread's sums. */
struct scan_sums {
	uint64_t used, wild, unreadable, twice;
};

static void report(struct scan_run *run, enum index_damage damage, uint64_t block, uint64_t page)
{
	if (run->scan->damaged == NULL)
		return;
	pthread_mutex_lock(&run->lock);
	run->scan->damaged(run->scan->damaged_opaque, damage, block, page);
	pthread_mutex_unlock(&run->lock);
}

/* An entry that is not 0. */
static void scan_entry(struct scan_run *run, struct scan_sums *sums, uint64_t block, uint64_t entry)
{
	struct index *index = run->index;
	uint64_t page = layout_entry_page(entry);
	uint64_t data_page = page - index->data_start;

	if (index_page_of(index, entry) == INDEX_BAD_PAGE) {
		sums->wild++;
		report(run, index_entry_is_whole(index, entry) ? INDEX_WILD : INDEX_TURNED, block,
		       page);
		return;
	}
	sums->used++;
	if (run->scan->named == NULL || !bitmap_set(run->scan->named, data_page))
		return;
	if (!bitmap_set(run->scan->twice, data_page))
		sums->twice++;
	report(run, INDEX_SHARED, block, page);
}

/* A leaf's entries, copied out. */
struct leaf_copy {
	const struct index *index;
	uint64_t first; /* block */
	unsigned int count;
	volatile unsigned int done; /* read after a fault */
	uint64_t entry[LAYOUT_LEAF_ENTRIES];
};

static void fetch_access(void *opaque)
{
	struct leaf_copy *leaf = opaque;

	for (; leaf->done < leaf->count; leaf->done = leaf->done + 1)
		leaf->entry[leaf->done] = atomic_load_explicit(
			&leaf->index->entries[leaf->first + leaf->done], memory_order_acquire);
}

/* Copy a leaf out; a line with a media error is passed over, and sets its bit in the result. */
static uint64_t fetch_leaf(struct leaf_copy *leaf)
{
	uint64_t bad = 0;
	struct fault fault;

	leaf->done = 0;
	while (!guard_run(&leaf->index->device->pm, fetch_access, leaf, &fault)) {
		bad |= 1ull << (leaf->done / LINE_ENTRIES);
		leaf->done = (leaf->done / LINE_ENTRIES + 1) * LINE_ENTRIES;
	}
	return bad;
}

static void scan_leaf(struct scan_run *run, struct scan_sums *sums, uint64_t number)
{
	struct index *index = run->index;
	struct leaf_copy leaf;
	unsigned int mapped = 0;
	uint64_t bad;

	if (!atomic_load_explicit(&index->present[number], memory_order_relaxed))
		return;
	leaf.index = index;
	leaf.first = number << LAYOUT_LEAF_SHIFT;
	leaf.count = LAYOUT_LEAF_ENTRIES;
	if (index->blocks - leaf.first < leaf.count)
		leaf.count = (unsigned int)(index->blocks - leaf.first);
	bad = fetch_leaf(&leaf);
	for (unsigned int i = 0; i < leaf.count; i++) {
		if (bad >> (i / LINE_ENTRIES) & 1) {
			mapped++;
			sums->unreadable++;
			report(run, INDEX_UNREADABLE, leaf.first + i, 0);
		} else if (leaf.entry[i] != 0) {
			mapped++;
			scan_entry(run, sums, leaf.first + i, leaf.entry[i]);
		}
	}
	/* Also a bad entry keeps its leaf from being taken for empty. */
	atomic_store_explicit(&index->count[number], mapped, memory_order_relaxed);
}

static void scan_some(struct scan_run *run, bool caller)
{
	struct scan_sums sums = { 0 };
	struct index *index = run->index;
	uint64_t leaf, end;

	for (;;) {
		leaf = atomic_fetch_add_explicit(&run->next, SCAN_STRIDE, memory_order_relaxed);
		if (leaf >= index->leaves)
			break;
		end = leaf + SCAN_STRIDE < index->leaves ? leaf + SCAN_STRIDE : index->leaves;
		/* Not ahead into holes, which would fill the kernel's cache with zeroes. */
		if (index_leaf_present(index, leaf))
			pm_will_read(&index->device->pm,
				     pm_page(&index->device->pm, index->start + leaf),
				     (end - leaf) << LAYOUT_PAGE_SHIFT);
		for (; leaf < end; leaf++)
			scan_leaf(run, &sums, leaf);
		if (caller && run->scan->progress != NULL && end < index->leaves)
			run->scan->progress(run->scan->progress_opaque, end, index->leaves);
	}
	pthread_mutex_lock(&run->lock);
	index->used += sums.used;
	index->wild += sums.wild;
	index->unreadable += sums.unreadable;
	index->twice += sums.twice;
	pthread_mutex_unlock(&run->lock);
}

static void *scan_thread(void *run)
{
	scan_some(run, false);
	return NULL;
}

static void scan(struct index *index, struct index_scan *scan)
{
	struct scan_run run = { .index = index, .scan = scan };
	pthread_t threads[SCAN_THREADS_MAX];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t wanted = index->leaves / SCAN_LEAVES_PER_THREAD;
	unsigned int started = 0;

	if (wanted > SCAN_THREADS_MAX)
		wanted = SCAN_THREADS_MAX;
	if (cpus > 0 && wanted > (uint64_t)cpus - 1)
		wanted = (uint64_t)cpus - 1;
	pthread_mutex_init(&run.lock, NULL);
	/* Fewer threads than wanted only take longer: the caller scans too. */
	while (started < wanted && thread_start(&threads[started], 0, scan_thread, &run) == 0)
		started++;
	scan_some(&run, true);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	pthread_mutex_destroy(&run.lock);
	if (scan->progress != NULL)
		scan->progress(scan->progress_opaque, index->leaves, index->leaves);
}

/* Learn which leaves have storage. */
static void find_present(struct index *index)
{
	uint64_t at = index->start << LAYOUT_PAGE_SHIFT;
	uint64_t limit = at + (index->leaves << LAYOUT_PAGE_SHIFT);
	uint64_t start, end;

	while (device_next_data(index->device, at, limit, &start, &end)) {
		uint64_t leaf = (start >> LAYOUT_PAGE_SHIFT) - index->start;

		for (; (leaf + index->start) << LAYOUT_PAGE_SHIFT < end; leaf++)
			atomic_store_explicit(&index->present[leaf], 1, memory_order_relaxed);
		at = end;
	}
}

int index_open(struct index *index, const struct device *device, const struct super *super,
	       struct index_scan *how)
{
	*index = (struct index){
		.device = device,
		.entries = (_Atomic uint64_t *)pm_page(&device->pm, super->index_start),
		.blocks = super->blocks,
		.leaves = super->index_pages,
		.start = super->index_start,
		.data_start = super_data_start(super),
		.data_pages = super_data_pages(super),
		.family = super->family,
		.checks = super->check != LAYOUT_CHECK_NONE,
	};
	pthread_mutex_init(&index->present_lock, NULL);
	index->count = calloc(index->leaves + 1, sizeof(index->count[0]));
	index->present = calloc(index->leaves + 1, sizeof(index->present[0]));
	if (index->count == NULL || index->present == NULL) {
		index_close(index);
		return fail(ENOMEM, "open: %s: out of memory for the index", device->path);
	}
	find_present(index);
	scan(index, how);
	return 0;
}

void index_close(struct index *index)
{
	if (index->device == NULL)
		return;
	free(index->count);
	free(index->present);
	pthread_mutex_destroy(&index->present_lock);
	index->device = NULL;
}

int index_allocate_leaf(struct index *index, uint64_t block)
{
	uint64_t leaf = index_leaf(block);
	int rc = 0;

	if (index_leaf_present(index, leaf))
		return 0;
	pthread_mutex_lock(&index->present_lock);
	if (!atomic_load_explicit(&index->present[leaf], memory_order_relaxed)) {
		rc = device_allocate(index->device, (index->start + leaf) << LAYOUT_PAGE_SHIFT,
				     LAYOUT_PAGE_SIZE);
		/* Release: whoever sees it may store to the leaf, which now has storage. */
		if (rc == 0)
			atomic_store_explicit(&index->present[leaf], 1, memory_order_release);
	}
	pthread_mutex_unlock(&index->present_lock);
	return rc;
}

int index_persist(const struct index *index, uint64_t block, uint64_t n, enum pm_order order)
{
	const struct pm *pm = &index->device->pm;
	int rc = 0;

	if (n > 0)
		rc = pm_flush(pm, (const void *)&index->entries[block],
			      n * sizeof(index->entries[0]), order);
	pm_drain(pm, order);
	return rc;
}

struct persist {
	const struct index *index;
	uint64_t block, count;
	enum pm_order order;
	int rc;
};

static void persist_access(void *opaque)
{
	struct persist *p = opaque;

	p->rc = index_persist(p->index, p->block, p->count, p->order);
}

int index_persist_guarded(const struct index *index, uint64_t block, uint64_t n,
			  enum pm_order order)
{
	struct persist p = { index, block, n, order, 0 };
	struct fault fault;

	return guard_run(&index->device->pm, persist_access, &p, &fault) ? p.rc : -EIO;
}
