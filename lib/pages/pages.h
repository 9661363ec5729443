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
 *   populating   being given storage
 *   dropping     losing it
 *   draining     free, with storage, in a zone that is being emptied (zones.h)
 *   lent         a memory user has it, or is being offered it
 *   bad          quarantined after a media error, until the device is opened again; and at open if
 *                the system knows of one
 *
 *            pages_take            publish              pages_retire        grace period
 *   resident ---------> a writer ---------> a block ---------> retired batch ---------> free batch
 *      ^  ^                | pages_put                                                     |  |
 *      |  '----------------'                                                    pages_take |  |
 *      '-----------------------------------------------------------------------------------+--'
 *
 * Two things are counted apart.  *Promises*: `admitted` blocks have or will have a page; a block
 * that has none is admitted only while that leaves the spare (pages_admit), and pages are lent only
 * while that leaves the spare and a reserve (memory.c).  *Pages*: a writer takes what there is and
 * waits when there is none (pages_take).  Since promises stay below the pages there are, by the
 * spare, some page is always free, retired, or with a writer that will publish; so the wait ends,
 * provided that nobody waits while holding an unpublished page.
 *
 * Locks: slot->busy, then pages->lock.  No lock is held across a system call that may take long,
 * a grace period, or an access to the media.
 */
#ifndef PAGES_H
#define PAGES_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/bitmap.h"
#include "media/device.h"
#include "pages/keeper.h"
#include "pages/pageset.h"
#include "map/super.h"
#include "pages/zones.h"

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
	/*
	 * Covers the rest; nests outside pages->lock.  A flag and not a mutex: it is taken twice a
	 * write, held for a few instructions, and if its holder is preempted others go to another
	 * slot.
	 */
	_Atomic bool busy;
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
	uint64_t usable;     /* count, less the bad */
	uint64_t stored;     /* usable pages that are not absent, draining or lent */
	uint64_t admitted;   /* blocks that have a page or are promised one */
	uint64_t pending;    /* promises and unmappings under way: `admitted` may yet fall */
	uint64_t populating; /* pages that are being given storage: in neither set */
	uint64_t dropping;   /* and those whose storage is being taken away */
	struct pageset lent; /* pages that memory users have, or are being offered */
	struct zones zones;
	uint64_t in_grace;	  /* pages in batches that wait for a grace period */
	uint64_t released;	  /* pages that have come out of one, ever */
	unsigned int waiting;	  /* writers that wait for a page */
	bool urgent;		  /* the reclaimer is not to wait for more */
	bool stop;		  /* the reclaimer is to end */
	struct batch_list recent; /* free pages, freshly released */
	struct batch_list full;	  /* retired batches handed over by their slots */
	struct batch_list empty;
	uint64_t bad_count;
	struct memory memory;

	_Atomic uint64_t changes; /* see pages_changes(); raised under the lock */
	_Atomic uint64_t *bad; /* a data page: quarantine it when it is retired; bits only rise */
	_Atomic bool any_bad;
	_Atomic bool frozen; /* see pages_freeze() */
	_Atomic bool armed;  /* something has been retired since the reclaimer last looked */
	pthread_t reclaimer;
	bool running; /* there is one; only start and close change it */
};

static inline void batch_push(struct batch_list *list, struct batch *batch)
{
	batch->next = list->first;
	list->first = batch;
	list->count++;
}

static inline bool slot_trylock(struct slot *slot)
{
	/*
	 * Acquire, with the release below: whoever locks sees what the last holder put in.  The
	 * load first spares the cache line while somebody else has it.
	 */
	return !atomic_load_explicit(&slot->busy, memory_order_relaxed) &&
	       !atomic_exchange_explicit(&slot->busy, true, memory_order_acquire);
}

static inline void slot_lock(struct slot *slot)
{
	while (!slot_trylock(slot))
		sched_yield();
}

static inline void slot_unlock(struct slot *slot)
{
	atomic_store_explicit(&slot->busy, false, memory_order_release);
}

/*
 * `named`: the data pages that entries name, `used` of them, and those that are bad and hold
 * nothing, `bad` of them.  0 or -errno with message.
 */
int pages_open(struct pages *pages, const struct device *device, const struct super *super,
	       const _Atomic uint64_t *named, uint64_t used, uint64_t bad);
void pages_close(struct pages *pages);

/* What a request knows of its chances; one for all its tries. */
struct admission {
	const char *what; /* "write" or "zero", for messages */
	/* What pages_changes() said before the entries were looked at. */
	uint64_t changes;
	/* The request for memory that it waits for, 0 for none yet; and until when. */
	uint64_t round;
	struct timespec until;
	uint64_t reclaimed; /* memory.reclaimed when that was made ... */
	uint64_t seen;	    /* ... and at the last try */
	unsigned int bad;   /* free pages that the media failed at */
};

/*
 * Promise pages to `n` blocks that have none: 0 for all of them, else none.  Never waits.  -EAGAIN:
 * it may be different soon, since others are under way, or memory has been asked back; give back
 * what pages are held, pages_wait_settled(), and look at the entries again.  -ENOSPC or another
 * -errno, with message: it is final.  If somebody has settled since the entries were looked at, he
 * may have mapped these very blocks, and it is not final.
 */
int pages_admit(struct pages *pages, uint64_t n, struct admission *admission);

/* How often promises have been settled so far: read it before looking at the entries. */
static inline uint64_t pages_changes(const struct pages *pages)
{
	/*
	 * Acquire, with the release of whoever raised it: entries loaded after this are at least as
	 * new as that settlement.
	 */
	return atomic_load_explicit(&pages->changes, memory_order_acquire);
}

/*
 * Take the storage of one free page away, if the promises can spare it, so that the file system has
 * room for a page of the index.  0, or -ENOSPC if there is none to spare.
 */
int pages_cede_storage(struct pages *pages);

/* After -EAGAIN: wait until somebody under way has settled, or has given memory back. */
void pages_wait_settled(struct pages *pages, const struct admission *admission);

/* End `n` promises, of which `bound` were kept: their blocks now have pages. */
void pages_settle(struct pages *pages, uint64_t n, uint64_t bound);

/* Around the unmapping of blocks: begin before the first entry is cleared; end with how many were,
 * after their pages were retired. */
void pages_unmap_begin(struct pages *pages);
void pages_unmap_end(struct pages *pages, uint64_t unmapped);

/* What a taker says, and what it learns besides. */
struct near {
	const char *what;  /* "write" or "zero", for messages */
	unsigned int slot; /* the slot at hand, for pages_retire_now() */
	uint64_t next;	   /* the page that it will probably give out next; 0 for none */
};

/*
 * Take at least one and at most `most` free pages with storage.  Waits when there is none, so the
 * caller must hold no page and be outside sections.  Their number, or -ENOSPC with message if
 * there is no page at all: media errors have used up the spare, or nothing has storage yet and the
 * file system has none to give.
 */
int pages_take(struct pages *pages, unsigned int most, uint64_t *page, struct near *near);

/* Give back pages that were taken and not published. */
void pages_put(struct pages *pages, const uint64_t *page, unsigned int n);

/*
 * Hand over pages that no entry names any more.  They are reused after a grace period (invariant
 * 4).  Invariant 3 wants the entries durable by then, so the caller either has drained before, or
 * is in a section that it leaves only after it has drained, or after pages_freeze() if that fails.
 *
 * The first never waits, and returns how many it could hand over, usually all; the second may wait
 * for a grace period, so outside sections and holding no taken page.
 */
unsigned int pages_retire_now(struct pages *pages, unsigned int slot, const uint64_t *page,
			      unsigned int n);
void pages_retire(struct pages *pages, const uint64_t *page, unsigned int n);

/*
 * Persisting has failed: nothing that has been retired, by a section still open or later, is to be
 * reused, since the media may still name it.  For good.
 */
void pages_freeze(struct pages *pages);

/* Remember that the media failed at this data page. */
void pages_mark_bad(struct pages *pages, uint64_t page);

/* With pages->lock: put a freshly released batch back into the set; false if there is none. */
bool pages_spill(struct pages *pages);

/* Put back into the set what slots hold to take from; without locks held.  Their number. */
unsigned int pages_empty_slots(struct pages *pages);

/*
 * With pages->lock: pages that nobody has, and that count as stored, become free again, or are
 * quarantined; pages without storage, which do not count, become absent.
 */
void pages_free_run(struct pages *pages, uint64_t first, uint64_t n);
void pages_absent_run(struct pages *pages, uint64_t first, uint64_t n);

/* ---- promises.c, for pages.c ---------------------------------------------------------------- */

/* Pages with storage that `admitted` blocks need: theirs, and enough to overwrite them. */
static inline uint64_t pages_storage_for(const struct pages *pages, uint64_t admitted)
{
	return admitted + (pages->spare < admitted ? pages->spare : admitted);
}

/*
 * All with pages->lock, which they drop around system calls.  Give storage to between one and
 * `most` absent pages; 0, or -errno without message: -ENOSPC also when there are none.
 */
int pages_populate(struct pages *pages, uint64_t most);
/*
 * Give storage to some more, for a writer that is short: 1, also after others did, or left some.  0
 * if so many have it, or will in a moment, that more would be taken away again.
 */
int pages_populate_more(struct pages *pages);
/* Give storage to what `admitted` blocks need, their share of the spare included. */
int pages_populate_for(struct pages *pages, uint64_t admitted);
/*
 * At open, when that failed: the same out of storage that the file has had all along, which takes
 * nothing from its file system.  False if there is not enough.
 */
bool pages_find_storage(struct pages *pages, uint64_t admitted);

/* Absent pages given storage at a time, at most, where the file system has room. */
#define POPULATE_PAGES 512u

/*
 * With pages->lock: take resident pages' storage away, at most `most` of them, in one run, but not
 * what promises need.  Drops the lock around the system call.  Their number; 0 if there are none to
 * spare; -errno if the device refuses.
 */
int64_t pages_drop_storage(struct pages *pages, uint64_t most);

/* ---- reclaim.c ------------------------------------------------------------------------------ */

/* Start and end the reclaimer.  0 or -errno with message. */
int reclaim_start(struct pages *pages);
void reclaim_stop(struct pages *pages);

/* Pages that have been retired and not yet released; takes locks. */
uint64_t reclaim_count_retired(struct pages *pages);

/* With pages->lock held: have the reclaimer look now rather than later. */
void reclaim_hurry(struct pages *pages);

#endif /* PAGES_H */
