/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.h - the data pages that hold no block: who has them, and what all who use them share.
 *
 * Only in memory, rebuilt from the map at open (invariant 6).  Each data page has one owner
 * (invariant 5):
 *
 *   the map      an entry names it: it is a block, a table or a record, of one view or several
 *   absent       free, without storage (a file's hole)
 *   resident     free, with storage
 *   a batch      free or retired, on its way: see struct batch
 *   a writer     taken, not yet published
 *   populating   being given storage
 *   punching     losing it
 *   evacuated    free, in a zone that is being evacuated: see struct zones
 *   low          free, and for tables only: see low.h
 *   lent         a memory user or a borrower has it, or is being offered it
 *   bad          quarantined after a media error, until the device is opened again; and at open if
 *                the system knows of one
 *
 *            cache_take            publish              cache_retire        grace period
 *   resident ---------> a writer ---------> the map ---------> retired batch ---------> free batch
 *      ^  ^                | pool_put                                                      |  |
 *      |  '----------------'                                                    cache_take |  |
 *      '-----------------------------------------------------------------------------------+--'
 *
 * Two things are counted apart.  *Reservations*: `reserved` pages are what all views have or may come to need
 * (docs/design.md, "Reservations"); one more is reserved only while that leaves the spare (reserve.h), and pages are lent
 * only while that leaves the spare and the headroom (lent.h).  *Pages*: a writer takes what there is
 * and waits when there is none (cache.h).  Since what is reserved stays below the pages there are, by
 * the spare, some page is always free, retired, or with a writer that will publish; so the wait ends,
 * provided that nobody waits while holding an unpublished page.
 *
 * The pool has the mutex, the sets, the counters and the conditions that all the others wait for, and
 * what they tell each other; it calls none of them.  Above it:
 *
 *   storage.c    give pages storage, and take it away
 *   recall.c     ask for memory that is lent
 *   cache.c      what lies ready for writers, by CPU
 *   reserve.c    reservations
 *   reclaim.c    the thread that takes retired pages through a grace period
 *   lent.c       loans
 *   low.c        pages for tables
 *   keeper.c     the thread that gives memory away and asks for it
 *   pages.c      open and close of all this
 *
 * Locks: cache->busy, then pool->lock.  No lock is held across a system call that may take long,
 * a grace period, or an access to the media.  A function whose name ends in _locked is called with
 * pool->lock held.
 */
#ifndef POOL_H
#define POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bitmap.h"
#include "kmemblk.h"
#include "media/device.h"
#include "pages/pageset.h"

#define BATCH_PAGES 509u
#define ZONE_BYTES  ((uint64_t)ZONE_PAGES << LAYOUT_PAGE_SHIFT)

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

struct batch_list {
	struct batch *first;
	unsigned int count;
};

/*
 * Zones that are being evacuated, so that they can be lent whole (lend/compaction.c).  What is free in
 * them is in sets of its own, where no writer takes pages from, and does not count as stored, so that
 * the pages that are reserved are sought elsewhere.
 */
struct zones {
	struct pageset stored; /* free pages of zones that are being evacuated: with storage ... */
	struct pageset holes;  /* ... and without */
	uint16_t *tables;      /* a zone: tables in it, which nothing moves */
	_Atomic uint64_t
		*flags;	     /* a zone: it is being evacuated; set under the lock, read without */
	uint64_t *perhaps;   /* a zone: it may be wholly free */
	uint64_t *blocked;   /* a zone: snapshots have pages in it, so it was evacuated in vain */
	uint64_t count;	     /* zones that are being evacuated */
	uint64_t wanted;     /* zones that borrowers would take now, had they been whole */
	pthread_cond_t work; /* the mover waits */
};

/* Pages at the low end that are for tables (low.h).  Free ones do not count as stored, as in struct zones. */
struct low {
	struct pageset all;    /* also those that hold tables */
	struct pageset stored; /* of these, free ones with storage ... */
	struct pageset holes;  /* ... and without */
	uint64_t end;	       /* all are before this page */
	uint64_t free;	       /* in `stored`, in `holes`, being given storage, or retired */
};

/* What is wanted back from other processes: noted by whoever asks (recall.c), done by the lending thread. */
struct lender {
	int event;			/* an eventfd that wakes it; -1: nobody lends */
	_Atomic unsigned int borrowers; /* that have zones */
	uint64_t wanted;		/* pages to ask for ... */
	uint64_t round;			/* ... and in which round */
};

/* What the keeper goes by (keeper.c), and the requests for memory (recall.c). */
struct keeper {
	struct kmemblk_memory_user user;
	bool punch;
	uint64_t watermark; /* pages; see keeper.c */
	uint64_t headroom;  /* pages that stay free beside the spare while others are lent */

	pthread_cond_t work; /* the thread waits */
	pthread_t thread;
	bool running;
	bool stop;
	bool called;   /* there may be something to do, since the thread began to look */
	bool offering; /* something to offer, since the last refusal */
	bool punching; /* on the way down from the watermark */

	uint64_t wanted;   /* pages that writers wait for, of requests not yet taken up */
	uint64_t asked;	   /* requests of writers so far ... */
	uint64_t taken_up; /* ... those that a call of user.recall covers ... */
	uint64_t answered; /* ... and those after which it had no more to give */
	int64_t asked_at;  /* ask again when there is less room than this */

	/* For info. */
	uint64_t punched;  /* pages that lost their storage */
	uint64_t returned; /* pages that were given back */
};

struct pool {
	const struct device *device;
	uint64_t first; /* data pages: first one ... */
	uint64_t count; /* ... and how many */
	uint64_t spare; /* pages that only overwrites may take */

	struct cache *caches; /* cache.h */
	unsigned int cache_count;
	struct batch *batches; /* all there are: made at open, so that retiring cannot fail */

	pthread_mutex_t lock; /* covers all from here to the next comment */
	pthread_cond_t page;  /* pages have become free: writers wait, each for its turn */
	pthread_cond_t freed; /* the same: who waits for storage, batches or tables */
	pthread_cond_t ended; /* reservations have ended: who could not have one waits */
	pthread_cond_t work;  /* the reclaimer waits */
	struct pageset resident;
	struct pageset absent;
	uint64_t usable;     /* count, less the bad */
	uint64_t stored;     /* usable pages that are not absent, evacuated, low or lent */
	uint64_t reserved;   /* what all views have or may need: docs/design.md, "Reservations" */
	uint64_t tables;     /* tables and records that there are */
	uint64_t pending;    /* reservations and unmappings under way: `reserved` may yet fall */
	uint64_t populating; /* pages that are being given storage: in neither set */
	uint64_t punching;   /* and those whose storage is being taken away */
	struct pageset lent; /* pages that memory users have, or are being offered */
	struct zones zones;
	struct low low;
	uint64_t in_grace;	  /* pages in batches that wait for a grace period */
	uint64_t reclaimed;	  /* pages that have come out of one, ever */
	unsigned int waiting;	  /* writers that wait for a page */
	bool urgent;		  /* the reclaimer is not to wait for more */
	bool stop;		  /* the reclaimer is to end */
	struct batch_list recent; /* free pages, freshly reclaimed */
	struct batch_list full;	  /* retired batches handed over by their caches */
	struct batch_list empty;
	uint64_t quarantined;
	struct keeper keeper;
	struct lender lender;

	_Atomic uint64_t blocks;  /* pages that hold blocks, of whichever view: for people */
	_Atomic uint64_t changes; /* see reserve_changes(); raised under the lock */
	_Atomic uint64_t *bad; /* a data page: quarantine it when it is retired; bits only rise */
	_Atomic bool any_bad;
	_Atomic uint64_t suspects; /* of these, pages whose contents were damaged */
	_Atomic bool frozen;	   /* see pool_freeze() */
	_Atomic bool armed;	   /* something has been retired since the reclaimer last looked */
	pthread_t reclaimer;
	bool running; /* there is one; only start and close change it */
};

/*
 * An empty pool, for pages_open() to fill: data pages [first, first + count), of which `bad` are known
 * to be bad.  0 or -ENOMEM without message; to be ended by pool_destroy() in any case.
 */
int pool_init(struct pool *pool, const struct device *device, uint64_t first, uint64_t count,
	      uint64_t bad);
void pool_destroy(struct pool *pool);

static inline void batch_push(struct batch_list *list, struct batch *batch)
{
	batch->next = list->first;
	list->first = batch;
	list->count++;
}

/* NULL from an empty list. */
static inline struct batch *batch_pop(struct batch_list *list)
{
	struct batch *batch = list->first;

	if (batch != NULL) {
		list->first = batch->next;
		list->count--;
		batch->next = NULL;
	}
	return batch;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/*
 * Pages that nobody has, and that count as stored, become free again, or are quarantined; pages
 * without storage, which do not count, become absent.
 */
void pool_free_locked(struct pool *pool, uint64_t first, uint64_t n);
void pool_absent_locked(struct pool *pool, uint64_t first, uint64_t n);

/* A page that was taken has become a table, or the record. */
void pool_note_table(struct pool *pool, uint64_t page);
/* It is about to be retired. */
void pool_forget_table(struct pool *pool, uint64_t page);

/* Give back pages that were taken and not published; and one that was taken for a table. */
void pool_put(struct pool *pool, const uint64_t *page, unsigned int n);
void pool_put_table(struct pool *pool, uint64_t page);

/* Drop a page, which counts as stored, since its media has failed. */
void pool_quarantine_locked(struct pool *pool, uint64_t page);

/* Put a freshly reclaimed batch back into the set; false if there is none. */
bool pool_spill_locked(struct pool *pool);

/* Remember that the media failed at this data page. */
void pool_mark_bad(struct pool *pool, uint64_t page);
/*
 * The same for a page that did not hold what was written, and has not failed otherwise.  At most a half of
 * the spare: a stray store can damage many, and whoever gets one of them is told by his own check value.
 */
void pool_mark_suspect(struct pool *pool, uint64_t page);

/*
 * Persisting has failed: nothing that has been retired, by a section still open or later, is to be
 * reused, since the media may still name it.  For good.
 */
void pool_freeze(struct pool *pool);

/* ---- counts --------------------------------------------------------------------------------- */

/* Pages with storage that `blocks` need: theirs, and enough to overwrite them. */
static inline uint64_t pool_storage_for(const struct pool *pool, uint64_t blocks)
{
	return blocks + (pool->spare < blocks ? pool->spare : blocks);
}

/* Pages that are neither reserved, nor lent, spare or for tables; negative if media errors took them. */
int64_t pool_room_locked(const struct pool *pool);
/* Pages that may be lent. */
uint64_t pool_lendable_locked(const struct pool *pool);
/* Resident pages that reservations do not need. */
uint64_t pool_unneeded_locked(const struct pool *pool);
/* Pages that a writer may give storage ahead of reservations, and the keeper will leave it. */
uint64_t pool_ahead_locked(const struct pool *pool);
/* True if the keeper is to begin to punch. */
bool pool_too_much_locked(const struct pool *pool);
/* True if the keeper is to ask for memory, since there is little left; notes it if there is enough. */
bool pool_low_locked(struct pool *pool);
/* There is somebody who can be asked for memory. */
bool pool_can_recall_locked(const struct pool *pool);

/* True for a page that is for tables. */
static inline bool pool_is_low_locked(const struct pool *pool, uint64_t page)
{
	return page < pool->low.end && pageset_has(&pool->low.all, page);
}

/* ---- wake-ups ------------------------------------------------------------------------------- */

/*
 * Pages have become free, `n` of them, or something else has changed that writers without a page wait for: wake all
 * others who wait for such, and as many writers as there are pages, but one at least.  Not all: of a thousand that wait
 * for one page, all but one would wake for nothing.  It is never one too few, for each that was woken wakes the next when it
 * has its page, or an error (cache_take()).
 */
void pool_freed_locked(struct pool *pool, uint64_t n);
/* Wake the keeper, or have it look once more. */
void pool_call_keeper_locked(struct pool *pool);
/* Look whether there is something for the keeper to do: whatever it goes by has changed. */
void pool_changed_locked(struct pool *pool);
/* Have the reclaimer look now rather than later. */
void pool_hurry_locked(struct pool *pool);

/* ---- zones ---------------------------------------------------------------------------------- */

/* All sets number zones alike. */
static inline uint64_t pool_zones(const struct pool *pool)
{
	return pool->resident.zones;
}

static inline uint64_t pool_zone_of(const struct pool *pool, uint64_t page)
{
	return (page - pool->resident.base) >> ZONE_SHIFT;
}

static inline uint64_t pool_zone_start(const struct pool *pool, uint64_t zone)
{
	return pool->resident.base + (zone << ZONE_SHIFT);
}

/* True if the page is in a zone that is being evacuated.  Without the lock it is a hint. */
static inline bool pool_evacuating(const struct pool *pool, uint64_t page)
{
	return bitmap_test(pool->zones.flags, pool_zone_of(pool, page));
}

/* Free pages of a zone. */
unsigned int pool_free_in_zone_locked(const struct pool *pool, uint64_t zone);

/* Do not evacuate these zones again, since snapshots have pages there; and do, for a view was deleted or rolled back. */
void pool_block_evacuated_locked(struct pool *pool);
void pool_unblock_zones(struct pool *pool);

/* No zone is to be evacuated any more: pages that are free in them go back to the writers. */
void pool_end_evacuation_locked(struct pool *pool);

#endif /* POOL_H */
