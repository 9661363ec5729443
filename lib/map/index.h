/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * index.h - the map from block to page: the entries on media, and what is known of them in memory.
 *
 * An entry is the one word that makes a page the content of a block; it is only ever changed by
 * pm_cas() and pm_swap().  A leaf is a page of 512 entries.  For each leaf, memory holds
 *
 *   present   the leaf has storage.  Only ever becomes true.  A leaf without storage is never
 *             loaded from, and is given storage before the first store to it.
 *   count     how many of its blocks have a page, or are about to: raised before an entry is
 *             published, lowered after its clearing is durable.  So a count of 0 says that all
 *             entries are zero, durably, and there is nothing to load.
 */
#ifndef INDEX_H
#define INDEX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bitmap.h"
#include "media/crc24.h"
#include "media/device.h"
#include "kmemblk.h"
#include "map/super.h"

struct index {
	const struct device *device;
	_Atomic uint64_t *entries; /* on media: blocks of them */
	uint64_t blocks;
	uint64_t leaves;
	uint64_t start;	     /* page of the first leaf */
	uint64_t data_start; /* page: entries name pages from here ... */
	uint64_t data_pages; /* ... this many */
	uint64_t family;     /* see crc24.h */
	bool checks;	     /* entries have check values */

	_Atomic uint32_t *count;      /* a leaf; see above */
	_Atomic uint8_t *present;     /* a leaf; see above */
	pthread_mutex_t present_lock; /* one thread at a time gives storage; nests inside none */

	/* From the scan at open, not kept up to date. */
	uint64_t used;	     /* entries that name a page */
	uint64_t wild;	     /* entries that name no data page, or are no entries */
	uint64_t unreadable; /* entries behind a media error */
	uint64_t twice;	     /* pages that more than one entry names */
};

/* What the scan found wrong. */
enum index_damage {
	INDEX_WILD,	  /* the entry of `block` names `page`, which is no data page */
	INDEX_TURNED,	  /* a bit of the entry of `block` has turned, or several have */
	INDEX_UNREADABLE, /* media error at the entry of `block` */
	INDEX_SHARED,	  /* the entry of `block` names `page`, as an earlier one does */
};

struct index_scan {
	_Atomic uint64_t *named; /* out: data pages that entries name; NULL: do not look */
	_Atomic uint64_t *twice; /* out: those that more than one names; NULL: do not look */
	/* Called for each damaged entry, from several threads but one at a time; may be NULL. */
	void (*damaged)(void *opaque, enum index_damage damage, uint64_t block, uint64_t page);
	void *damaged_opaque;
	kmemblk_progress_fn progress; /* in the calling thread; may be NULL */
	void *progress_opaque;
};

/* Set up for a mapped device and read the whole index.  0 or -errno with message. */
int index_open(struct index *index, const struct device *device, const struct super *super,
	       struct index_scan *scan);
void index_close(struct index *index);

/* Give the leaf of `block` storage if it has none.  0, -ENOSPC or another -errno; no message. */
int index_allocate_leaf(struct index *index, uint64_t block);

/*
 * Flush the entries [block, block + n), which must be of present leaves, and drain.  0 or -errno
 * without message: then nothing may rely on them.  Touches the media: only under a guard; the
 * second brings its own.
 */
int index_persist(const struct index *index, uint64_t block, uint64_t n, enum pm_order order);
int index_persist_guarded(const struct index *index, uint64_t block, uint64_t n,
			  enum pm_order order);

/* What index_load() says of an entry that names no data page. */
#define INDEX_BAD_PAGE UINT64_MAX

static inline uint64_t index_leaf(uint64_t block)
{
	return block >> LAYOUT_LEAF_SHIFT;
}

/*
 * Acquire, with the release of whoever raised it: not needed to find entries (a block whose write
 * was acknowledged before this read began is counted because the acknowledgement orders the two),
 * but it lets the leaf's storage be relied on.
 */
static inline bool index_leaf_empty(const struct index *index, uint64_t leaf)
{
	return atomic_load_explicit(&index->count[leaf], memory_order_acquire) == 0;
}

/* Acquire, with the release of whoever gave it storage: it may be stored to. */
static inline bool index_leaf_present(const struct index *index, uint64_t leaf)
{
	return atomic_load_explicit(&index->present[leaf], memory_order_acquire);
}

static inline bool index_names_data(const struct index *index, uint64_t page)
{
	/* Below data_start the difference wraps and is huge. */
	return page - index->data_start < index->data_pages;
}

/* True for 0, and for what a sound device could hold as far as its bits tell. */
static inline bool index_entry_is_whole(const struct index *index, uint64_t entry)
{
	return layout_entry_is_even(entry) && (index->checks || layout_entry_check(entry) == 0);
}

/* What an entry's value says: a data page, 0 for none, or INDEX_BAD_PAGE (invariant 7). */
static inline uint64_t index_page_of(const struct index *index, uint64_t entry)
{
	uint64_t page = layout_entry_page(entry);

	if (__builtin_expect(index_names_data(index, page) && index_entry_is_whole(index, entry),
			     1))
		return page;
	return entry == 0 ? 0 : INDEX_BAD_PAGE;
}

static inline struct crc24_prefix index_prefix(const struct index *index, uint64_t block)
{
	return (struct crc24_prefix){ index->family, block };
}

/*
 * Begin to fetch a block's entry, which is seldom cached.  First of all in a request, so that it is
 * on its way while the rest is set up: a twelfth of a 4 KiB read at random, measured.  Any block
 * number will do, also of an absent leaf: a prefetch never faults and never allocates.
 */
static inline void index_prefetch(const struct index *index, uint64_t block)
{
	__builtin_prefetch((const void *)&index->entries[block], 1);
}

/*
 * The entry of a block, and the page that it names.  Touch the media: only under a guard.
 *
 * Acquire: pairs with the release in pm_cas(), so that the page's contents, stored before it was
 * published, are seen.  Without it a reader could see the new entry and the page's old bytes.
 */
static inline uint64_t index_entry(const struct index *index, uint64_t block)
{
	if (index_leaf_empty(index, index_leaf(block)))
		return 0;
	return atomic_load_explicit(&index->entries[block], memory_order_acquire);
}

static inline uint64_t index_load(const struct index *index, uint64_t block)
{
	return index_page_of(index, index_entry(index, block));
}

/*
 * Before an entry of the leaf is published; and after its clearing is durable, or if it was not
 * published after all.  Release: see index_leaf_empty().
 */
static inline void index_raise(struct index *index, uint64_t leaf)
{
	atomic_fetch_add_explicit(&index->count[leaf], 1, memory_order_release);
}

static inline void index_lower(struct index *index, uint64_t leaf, uint32_t by)
{
	atomic_fetch_sub_explicit(&index->count[leaf], by, memory_order_release);
}

#endif /* INDEX_H */
