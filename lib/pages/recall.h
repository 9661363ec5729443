/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recall.h - a writer asks for memory that is lent, and waits for the answer.
 *
 * Requests are counted in rounds.  The keeper takes up all that have been made (keeper.c), and when
 * those whom it asks have no more to give, the round is answered, and with it all before it.
 */
#ifndef RECALL_H
#define RECALL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "pages/pool.h"

/* What a request has asked for. */
struct recall {
	/* The round that it waits for, 0 for none yet; and until when. */
	uint64_t round;
	struct timespec until;
	uint64_t returned; /* keeper.returned when that was asked ... */
	uint64_t seen;	   /* ... and at the last try */
};

/*
 * `n` pages more are needed than there are: ask for them.  False if there is nobody to ask, or he has
 * been asked and has no more, or the time for it is over.
 */
bool recall_ask_locked(struct pool *pool, uint64_t n, struct recall *recall);
/* True while the answer is still to come. */
bool recall_pending_locked(const struct pool *pool, const struct recall *recall);

/*
 * Leave it to the lending thread to ask other processes for pages: false if none has any.  It is told
 * by lender.event, and says recall_answered_locked() when they have answered.
 */
bool recall_from_borrowers_locked(struct pool *pool, uint64_t pages, uint64_t round);

/* Those who were asked in this round or before have given back what they can: no more to come. */
void recall_answered_locked(struct pool *pool, uint64_t round);

#endif /* RECALL_H */
