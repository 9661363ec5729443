/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages.h - the data pages that hold no block: who may have them, and their way back.
 *
 * Only in memory, rebuilt from the index at open (invariant 6).  Each data page has one owner
 * (invariant 5):
 *
 *   a block      an entry names it
 *   absent       free, without storage (a file's hole)
 *   resident     free, with storage
 *   a batch      free or retired, on its way: see struct batch
 *   a writer     taken, not yet published
 *   bad          quarantined after a media error, until the device is opened again
 *
 *            pages_take            publish              pages_retire        grace period
 *   resident ---------> a writer ---------> a block ---------> retired batch ---------> free batch
 *      ^  ^                | pages_put                                                     |  |
 *      |  '----------------'                                                    pages_take |  |
 *      '-----------------------------------------------------------------------------------+--'
 *
 * Two things are counted apart.  *Promises*: `admitted` blocks have or will have a page; a block
 * that has none is admitted only while that leaves the spare (pages_admit).  *Pages*: a writer
 * takes what there is and waits when there is none (pages_take).  Since promises stay below the
 * pages there are, by the spare, some page is always free, retired, or with a writer that will
 * publish; so the wait ends, provided that nobody waits while holding an unpublished page.
 *
 * Locks: slot->lock, then pages->lock.  No lock is held across a system call that may take long,
 * a grace period, or an access to the media.
 */
#ifndef PAGES_H
#define PAGES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bitmap.h"
#include "device.h"
#include "pageset.h"
#include "super.h"

#define BATCH_PAGES 509u

/*
 * Pages on their way together: retired ones collect in a batch, wait for a grace period in it, and
 * are handed out again from it, so the way from block to block touches no shared table.
 */
struct batch {
	struct batch *next;
	uint32_t taken; /* pages before this one are gone */
	uint32_t count; /* pages in all */
	uint64_t page[BATCH_PAGES];
};

/*
 * A slot a CPU, used by whoever runs there and by anyone who runs short: not one a thread, since
 * a server's threads come and go by the hundred and would each hoard pages.
 */
struct slot {
	pthread_mutex_t lock;  /* covers both; nests outside pages->lock */
	struct batch *free;    /* to take from; never NULL */
	struct batch *retired; /* to retire into; NULL while none could be had */
} __attribute__((aligned(128)));

struct batch_list {
	struct batch *first;
	unsigned int count;
};

struct pages {
	const struct device *device;
	uint64_t first; /* data pages: first one ... */
	uint64_t count; /* ... and how many */
	uint64_t spare; /* pages that only overwrites may take */

	struct slot *slots;
	unsigned int slot_count;
	struct batch *batches; /* all there are: made at open, so that retiring cannot fail */

	pthread_mutex_t lock;	/* covers all from here to the next comment */
	pthread_cond_t freed;	/* pages have become free: writers wait */
	pthread_cond_t settled; /* promises have been settled: admissions wait */
	pthread_cond_t work;	/* the reclaimer waits */
	struct pageset resident;
	struct pageset absent;
	uint64_t usable;	  /* count, less the bad */
	uint64_t stored;	  /* usable pages that are not absent */
	uint64_t admitted;	  /* blocks that have a page or are promised one */
	uint64_t pending;	  /* promises and unmappings under way: `admitted` may yet fall */
	unsigned int waiting;	  /* writers that wait for a page */
	bool urgent;		  /* the reclaimer is not to wait for more */
	bool stop;		  /* the reclaimer is to end */
	struct batch_list recent; /* free pages, freshly released */
	struct batch_list full;	  /* retired batches handed over by their slots */
	struct batch_list empty;
	uint64_t bad_count;

	_Atomic uint64_t *bad; /* a data page: quarantine it when it is retired; bits only rise */
	_Atomic bool any_bad;
	_Atomic bool armed; /* something has been retired since the reclaimer last looked */
	pthread_t reclaimer;
	bool running; /* there is one; only start and close change it */
};

/* `named`: the data pages that entries name; `used` of them.  0 or -errno with message. */
int pages_open(struct pages *pages, const struct device *device, const struct super *super,
	       const _Atomic uint64_t *named, uint64_t used);
void pages_close(struct pages *pages);

/*
 * Promise pages to `n` blocks that have none: 0 for all of them, else none.  -EAGAIN: some were
 * under way, and now are not; look at the entries again.  -ENOSPC with message: it is final.  With
 * wait false it never waits and says -EAGAIN at once.
 */
int pages_admit(struct pages *pages, uint64_t n, bool wait);

/* End `n` promises, of which `bound` were kept: their blocks now have pages. */
void pages_settle(struct pages *pages, uint64_t n, uint64_t bound);

/* Around the unmapping of blocks: begin before the first entry is cleared; end with how many were,
 * after their pages were retired. */
void pages_unmap_begin(struct pages *pages);
void pages_unmap_end(struct pages *pages, uint64_t unmapped);

/*
 * Take at least one and at most `most` free pages with storage.  Waits when there is none, so the
 * caller must hold no page and be outside sections.  Their number, or -ENOSPC with message if
 * media errors have left no page at all.
 */
int pages_take(struct pages *pages, unsigned int most, uint64_t *page);

/* Give back pages that were taken and not published. */
void pages_put(struct pages *pages, const uint64_t *page, unsigned int n);

/*
 * Hand over pages that no entry names any more, durably (invariant 3).  They are reused after a
 * grace period (invariant 4).  May wait for one, so outside sections and holding no taken page.
 */
void pages_retire(struct pages *pages, const uint64_t *page, unsigned int n);

/* Remember that the media failed at this data page. */
void pages_mark_bad(struct pages *pages, uint64_t page);

/* ---- reclaim.c ------------------------------------------------------------------------------ */

/* Start and end the reclaimer.  0 or -errno with message. */
int reclaim_start(struct pages *pages);
void reclaim_stop(struct pages *pages);

/* With pages->lock held: have the reclaimer look now rather than later. */
void reclaim_hurry(struct pages *pages);

#endif /* PAGES_H */
