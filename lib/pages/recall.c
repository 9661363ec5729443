/* SPDX-License-Identifier: BSD-3-Clause */
/* recall.c - ask for memory that is lent.  See recall.h. */
#include "config.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "base/deadline.h"
#include "pages/recall.h"

bool recall_pending_locked(const struct pool *pool, const struct recall *recall)
{
	return recall->round > pool->keeper.answered && !deadline_passed(&recall->until);
}

bool recall_ask_locked(struct pool *pool, uint64_t n, struct recall *recall)
{
	struct keeper *keeper = &pool->keeper;

	if (!pool_can_recall_locked(pool) || !keeper->running)
		return false;
	if (recall->round == 0) {
		if (pool->lent.total == 0)
			return false;
		recall->until = deadline_after(keeper->user.timeout_ms);
	} else if (!recall_pending_locked(pool, recall)) {
		/* It brought nothing, or too late; but others may have taken what it brought. */
		if (keeper->returned == recall->returned || deadline_passed(&recall->until))
			return false;
		recall->round = 0;
	}
	recall->seen = keeper->returned;
	if (recall->round == 0) {
		recall->returned = keeper->returned;
		recall->round = ++keeper->asked;
		keeper->wanted += n;
		pool_call_keeper_locked(pool);
	}
	return true;
}

bool recall_from_borrowers_locked(struct pool *pool, uint64_t pages, uint64_t round)
{
	struct lender *lender = &pool->lender;

	/* Relaxed: he who has just got a zone is asked next time. */
	if (lender->event == -1 ||
	    atomic_load_explicit(&lender->borrowers, memory_order_relaxed) == 0)
		return false;
	lender->wanted += pages;
	lender->round = round;
	/* It cannot be full: that takes 2^64 - 1 of these. */
	return eventfd_write(lender->event, 1) == 0;
}

void recall_answered_locked(struct pool *pool, uint64_t round)
{
	struct keeper *keeper = &pool->keeper;

	/* Rounds that have been taken up since then are still to be answered. */
	if (keeper->answered < round)
		keeper->answered = round;
	pthread_cond_broadcast(&pool->ended);
}
