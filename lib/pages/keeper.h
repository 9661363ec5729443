/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h - what free pages are good for: given back to the kernel, or lent to memory users.
 *
 * Both are done by one thread a handle, so that neither a writer nor the reclaimer ever waits for a
 * system call on a large range or for a memory user's callback:
 *
 *   punch    Free pages with storage, beyond what promises need and `keep` more, lose it.  It
 *            begins above `keep` and goes on to three quarters of it, so steady rewriting, which
 *            neither needs nor frees storage in sum, makes no system calls.
 *   offer    What has been released is offered to the memory user, a run at a time, zeroed.  A
 *            refusal ends it until something else is released.
 *   ask      When the pages that are neither promised nor lent fall below spare and reserve, the
 *            memory user is asked to give back; again when they have fallen by another eighth of
 *            the reserve, and whenever a writer would otherwise get ENOSPC, who waits for it.
 *
 * A page is lent only while that leaves spare and reserve, and the storage that promises need: so
 * no loan can make an overwrite wait, let alone fail.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmemblk.h"

struct admission;
struct lending;
struct pages;

/* In struct pages, covered by its lock. */
struct memory {
	struct kmemblk_memory_user user;
	/*
	 * The lending server beside it, NULL for none: asked for pages with the lock held, so it
	 * only notes it; false if nobody is there who has any.  `round` is what it tells
	 * memory_answered() when those whom it asked have answered.
	 */
	struct lending *lender;
	bool (*lender_reclaim)(struct lending *lender, uint64_t pages, uint64_t round);
	bool punch;
	uint64_t keep;	  /* pages; see above */
	uint64_t reserve; /* pages that stay free beside the spare while others are lent */

	pthread_cond_t work; /* the thread waits */
	pthread_t thread;
	bool running;
	bool stop;
	bool released; /* something to offer, since the last refusal */
	bool punching; /* on the way down from `keep` */

	uint64_t wanted;   /* pages that writers wait for, of requests not yet taken up */
	uint64_t asked;	   /* requests of writers so far ... */
	uint64_t taken_up; /* ... those that a call of user.reclaim covers ... */
	uint64_t answered; /* ... and those after which it had no more to give */
	int64_t asked_at;  /* ask again when room() falls below this */

	/* For info. */
	uint64_t punched;   /* pages that lost their storage */
	uint64_t reclaimed; /* pages that were given back */
};

/* Defaults; the device is known. */
void memory_init(struct pages *pages);
void memory_destroy(struct pages *pages);

/* Start and end the thread.  0 or -errno with message. */
int memory_start(struct pages *pages);
void memory_stop(struct pages *pages);

/*
 * All below with pages->lock held.
 */

/* Look whether there is something for the thread to do: whatever it goes by has changed. */
void memory_changed(struct pages *pages);

/* Pages that a writer may give storage beyond what promises need, and the thread will leave it. */
uint64_t memory_may_keep(const struct pages *pages);

/* There is somebody who can be asked for memory. */
bool memory_can_ask(const struct memory *memory);

/*
 * A writer needs `n` pages more than there are: ask the memory user.  False if there is nobody to
 * ask, or he has been asked and has no more, or the time for it is over.
 */
bool memory_ask(struct pages *pages, uint64_t n, struct admission *admission);
/* True while the answer is still to come. */
bool memory_asking(const struct pages *pages, const struct admission *admission);

/* Those who were asked in this round or before have given back what they can: no more to come. */
void memory_answered(struct pages *pages, uint64_t round);

/* Pages that may be lent. */
uint64_t memory_lendable(const struct pages *pages);

/*
 * Lend a run of `n` pages, aligned to `align` pages in the mapping.  Drops the lock meanwhile.  0;
 * -ENOMEM or another -errno, without message.
 */
int memory_lend(struct pages *pages, uint64_t n, uint64_t align, uint64_t *first);
/* Zero a run that has been lent, so that no block's contents are seen; without the lock.  0 or -EIO. */
int memory_clear(struct pages *pages, uint64_t first, uint64_t n);
/* End a loan. */
void memory_return(struct pages *pages, uint64_t first, uint64_t n);

#endif /* MEMORY_H */
