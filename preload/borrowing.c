/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * borrowing.c - what the helper does: fulfil wishes for loans, and give loans back.
 *
 * An allocation that needs a loan leaves a wish, and waits for it without any lock, a short while, as long as
 * loans are to be had.  When the server has none, nobody waits any more: memory is ordinary, and the helper
 * asks again by itself, until there are some.  Strict programs wait longer.
 *
 * Each second the helper has jemalloc give up what it has kept for long enough, and gives back loans that are
 * wholly free; when the disk wants memory, all that are.  Nothing is taken out from under the program.
 */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "base/deadline.h"
#include "family.h"
#include "heap.h"
#include "helping.h"
#include "hooks.h"
#include "loan.h"

#define TICK_MS 1000
/* How long an allocation waits for a loan; and how long none does after there was none. */
#define WAIT_MS	 50
#define PAUSE_MS 1000
/* A strict program: how long it is tried after a refusal, and how long a server that is only slow may take. */
#define STRICT_MS      1000
#define STRICT_MOST_MS 60000
#define IDLE_ROUNDS    2

/* ---- wishes --------------------------------------------------------------------------------- */

uint64_t borrowing_loans_locked(void)
{
	return heap.of_kind[SLOT_LOAN] + heap.of_kind[SLOT_PRIVATE];
}

bool borrowing_must(void)
{
	return heap.strict && !is_helper &&
	       atomic_load_explicit(&helper.state, memory_order_relaxed) != BARRED;
}

bool borrowing_can_locked(void)
{
	return !is_helper && helper.state == READY && !helper.forking && !helper.end &&
	       borrowing_loans_locked() < helper.loans_most &&
	       (helper.flowing || (heap.strict && deadline_passed(&helper.retry_at)));
}

/* The server has none for now: nobody asks for a while. */
static void pause_locked(void)
{
	helper.flowing = false;
	helper.missed = true;
	helper.retry_at = deadline_after(PAUSE_MS);
}

/* The wish of a slot is fulfilled, or given up. */
static void end_wish_locked(size_t s)
{
	heap.slot[s].wanted = heap.slot[s].filling = false;
	helper.wanted--;
	pthread_cond_broadcast(&heap.changed);
}

bool borrowing_borrow_locked(size_t s)
{
	struct slot *slot = &heap.slot[s];
	struct timespec until = deadline_after(heap.strict ? STRICT_MOST_MS : WAIT_MS);

	/* A program that has just forked, or just started, and may have nothing else. */
	while (borrowing_must() && helper.state == STARTING)
		pthread_cond_wait(&heap.changed, &heap.lock);
	if (!borrowing_can_locked()) {
		helper.missed = true;
		return false;
	}
	slot->wanted = true;
	helper.wanted++;
	pthread_cond_signal(&helper.work);
	while (slot->wanted) {
		if (pthread_cond_clockwait(&heap.changed, &heap.lock, CLOCK_MONOTONIC, &until) !=
		    ETIMEDOUT)
			continue;
		if (slot->wanted && !slot->filling) {
			end_wish_locked(s);
			pause_locked();
		}
		/* What is being filled will be in a moment. */
		until = deadline_after(WAIT_MS);
	}
	return slot->kind == SLOT_LOAN;
}

static int map_loan(void *opaque, struct zone *zone)
{
	return loan_map(*(const size_t *)opaque, zone);
}

/* Asks for a loan for a claimed slot; lets go of the lock meanwhile. */
static int fill_slot_locked(size_t s)
{
	int rc;

	heap.slot[s].filling = true;
	pthread_mutex_unlock(&heap.lock);
	rc = connection_ask(&helper.connection, heap.strict ? WAIT_MS : 0, map_loan, &s);
	pthread_mutex_lock(&heap.lock);
	if (rc == 0)
		heap_set_kind_locked(s, SLOT_LOAN);
	return rc;
}

/* What is wholly free goes back; before that jemalloc gives up what it keeps.  Without the lock. */
static uint64_t give_back(unsigned int rounds)
{
	uint64_t bytes = 0, offset;

	pthread_mutex_lock(&heap.lock);
	for (size_t s = 0; s < heap.top; s++) {
		struct slot *slot = &heap.slot[s];
		bool loan = slot->kind == SLOT_LOAN || slot->kind == SLOT_PRIVATE, shared;

		if (!heap_is_free_locked(s))
			continue;
		if (slot->idle < rounds) {
			slot->idle++;
			continue;
		}
		shared = slot->kind == SLOT_LOAN;
		if (!heap_vacate_locked(s) || !loan)
			continue;
		if (shared)
			close(slot->fd);
		bytes += HEAP_SLOT;
		offset = slot->offset;
		pthread_mutex_unlock(&heap.lock);
		connection_returned(&helper.connection, offset);
		pthread_mutex_lock(&heap.lock);
	}
	pthread_mutex_unlock(&heap.lock);
	return bytes;
}

/* Fulfils wishes, in order of addresses. */
static void fill_wanted(void)
{
	struct timespec until = deadline_after(STRICT_MS);
	struct timespec busy_until = deadline_after(STRICT_MOST_MS);
	int rc = 0;

	pthread_mutex_lock(&heap.lock);
	for (size_t s = 0; helper.wanted > 0 && s < heap.top; s++) {
		if (!heap.slot[s].wanted)
			continue;
		if (rc == 0 || heap.strict)
			rc = fill_slot_locked(s);
		/* Beside a busy disk little is lent, but some. */
		while (rc == -EBUSY && heap.strict && !helper.private_wanted &&
		       !deadline_passed(&busy_until))
			rc = fill_slot_locked(s);
		/* What jemalloc keeps may be what is missing. */
		while (rc != 0 && heap.strict && !helper.private_wanted &&
		       !deadline_passed(&until)) {
			pthread_mutex_unlock(&heap.lock);
			hooks_purge();
			give_back(0);
			pthread_mutex_lock(&heap.lock);
			rc = fill_slot_locked(s);
		}
		end_wish_locked(s);
	}
	helper.flowing = rc == 0;
	if (rc != 0)
		pause_locked();
	pthread_mutex_unlock(&heap.lock);
}

/* After allocations have had to do without: is there one now?  It waits in a slot for the next. */
static void try_again(void)
{
	size_t s;
	int rc = -ENOMEM;

	pthread_mutex_lock(&heap.lock);
	for (s = 0; s < heap.slots && heap.slot[s].kind != SLOT_EMPTY;)
		s++;
	helper.missed = false;
	if (s < heap.slots && borrowing_loans_locked() < helper.loans_most) {
		heap_set_kind_locked(s, SLOT_CLAIMED);
		if (s >= heap.top)
			heap.top = s + 1;
		rc = fill_slot_locked(s);
		heap.slot[s].filling = false;
		if (rc == 0)
			heap_all_free_locked(s);
		else
			heap_set_kind_locked(s, SLOT_EMPTY);
	}
	helper.flowing = rc == 0;
	helper.missed |= rc != 0;
	helper.retry_at = deadline_after(PAUSE_MS);
	pthread_mutex_unlock(&heap.lock);
}

/* ---- each second, and when the disk wants memory -------------------------------------------- */

/* No child is left: what private loans hold is copied, and they are over. */
static void copy_private(void)
{
	for (size_t s = 0; s < heap.top; s++) {
		pthread_mutex_lock(&heap.lock);
		if (heap.slot[s].kind != SLOT_PRIVATE) {
			pthread_mutex_unlock(&heap.lock);
			continue;
		}
		heap_free_private_locked(s);
		pthread_mutex_unlock(&heap.lock);
		/* What is not told now is at the next tick. */
		if (!loan_copy(s) || !connection_copied(&helper.connection, heap.slot[s].offset))
			continue;
		pthread_mutex_lock(&heap.lock);
		heap_set_kind_locked(s, SLOT_COPIED);
		pthread_mutex_unlock(&heap.lock);
	}
}

static void tick(void)
{
	hooks_decay();
	give_back(IDLE_ROUNDS);
	if (heap.of_kind[SLOT_PRIVATE] > 0 && !family_lives())
		copy_private();
}

static void serve_recall(void)
{
	uint64_t wanted = connection_wanted(&helper.connection, 0), returned;

	if (wanted == 0)
		return;
	pthread_mutex_lock(&heap.lock);
	pause_locked();
	pthread_mutex_unlock(&heap.lock);
	hooks_purge();
	returned = give_back(0);
	connection_answer(&helper.connection, returned);
}

void borrowing_tell_held(void)
{
	uint64_t offset = 0;
	bool loan;

	for (size_t s = 0; s < heap.top; s++) {
		pthread_mutex_lock(&heap.lock);
		loan = heap.slot[s].kind == SLOT_LOAN || heap.slot[s].kind == SLOT_PRIVATE;
		offset = heap.slot[s].offset;
		pthread_mutex_unlock(&heap.lock);
		while (loan && connection_tell_held(&helper.connection, offset) == -EAGAIN)
			usleep(1000);
	}
}

void borrowing_make_private_locked(void)
{
	int rc;

	pthread_mutex_unlock(&heap.lock);
	rc = loan_make_all_private();
	if (rc == 0 && !helper.end && heap.of_kind[SLOT_PRIVATE] > 0)
		rc = family_before_fork();
	pthread_mutex_lock(&heap.lock);
	helper.private_rc = rc;
	helper.private_wanted = false;
	pthread_cond_broadcast(&heap.changed);
}

void borrowing_work(void)
{
	bool wanted, wants_back, again, ticks;

	pthread_mutex_lock(&heap.lock);
	wanted = helper.wanted > 0;
	wants_back = helper.recalled;
	again = helper.missed && !wants_back && deadline_passed(&helper.retry_at);
	ticks = deadline_passed(&helper.tick_at);
	helper.recalled = false;
	if (ticks)
		helper.tick_at = deadline_after(TICK_MS);
	pthread_mutex_unlock(&heap.lock);
	if (wanted)
		fill_wanted();
	if (wants_back)
		serve_recall();
	if (again)
		try_again();
	if (ticks)
		tick();
}
