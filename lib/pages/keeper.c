/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.c - the thread that gives free pages away and asks for them.  See memory.h. */
#include "config.h"

#include <errno.h>

#include "base/deadline.h"
#include "media/guard.h"
#include "pages/pages.h"
#include "base/thread.h"

/* Of all data pages: kept with storage, and kept from memory users. */
#define KEEP_SHARE    256u
#define KEEP_MAX      16384u
#define RESERVE_SHARE 32u

/* How long a writer waits for memory to come back. */
#define TIMEOUT_MS 10000u

void memory_init(struct pages *pages)
{
	struct memory *memory = &pages->memory;

	memory->punch = pages->device->holes;
	memory->keep = pages->count / KEEP_SHARE < KEEP_MAX ? pages->count / KEEP_SHARE : KEEP_MAX;
	memory->reserve = pages->count / RESERVE_SHARE;
	memory->user.timeout_ms = TIMEOUT_MS;
	memory->asked_at = INT64_MAX;
	/* What is free at the start is offered, too. */
	memory->released = true;
	pthread_cond_init(&memory->work, NULL);
}

void memory_destroy(struct pages *pages)
{
	pthread_cond_destroy(&pages->memory.work);
}

/* Pages that are neither promised nor lent nor spare; negative if media errors took them. */
static int64_t room(const struct pages *pages)
{
	return (int64_t)(pages->usable - pages->admitted - pages->lent.total - pages->spare);
}

uint64_t memory_lendable(const struct pages *pages)
{
	int64_t n = room(pages) - (int64_t)pages->memory.reserve;

	return n > 0 ? (uint64_t)n : 0;
}

/* Resident pages that promises do not need. */
static uint64_t unneeded(const struct pages *pages)
{
	uint64_t need = pages_storage_for(pages, pages->admitted);

	return pages->stored > need ? pages->stored - need : 0;
}

uint64_t memory_may_keep(const struct pages *pages)
{
	/*
	 * Half, since punching begins above all of it: a writer that is short, and takes storage up
	 * to the limit, must not have it punched after the next trims.
	 */
	return pages->memory.punch ? pages->memory.keep / 2 : pages->count;
}

/* ---- asking for memory ---------------------------------------------------------------------- */

bool memory_asking(const struct pages *pages, const struct admission *admission)
{
	return admission->round > pages->memory.answered && !deadline_passed(&admission->until);
}

bool memory_can_ask(const struct memory *memory)
{
	return memory->user.reclaim != NULL || memory->lender != NULL;
}

bool memory_ask(struct pages *pages, uint64_t n, struct admission *admission)
{
	struct memory *memory = &pages->memory;

	if (!memory_can_ask(memory) || !memory->running)
		return false;
	if (admission->round == 0) {
		if (pages->lent.total == 0)
			return false;
		admission->until = deadline_after(memory->user.timeout_ms);
	} else if (!memory_asking(pages, admission)) {
		/* It brought nothing, or too late; but others may have taken what it brought. */
		if (memory->reclaimed == admission->reclaimed || deadline_passed(&admission->until))
			return false;
		admission->round = 0;
	}
	admission->seen = memory->reclaimed;
	if (admission->round == 0) {
		admission->reclaimed = memory->reclaimed;
		admission->round = ++memory->asked;
		memory->wanted += n;
		pthread_cond_signal(&memory->work);
	}
	return true;
}

/* The background asks: room has fallen below the reserve, or by an eighth of it since last time. */
static bool low(struct pages *pages)
{
	struct memory *memory = &pages->memory;
	int64_t free = room(pages);

	if (free >= (int64_t)memory->reserve)
		memory->asked_at = INT64_MAX;
	return pages->lent.total > 0 && free < (int64_t)memory->reserve && free < memory->asked_at;
}

/* Pages to ask for; 0 if nothing is missing, or nobody has any. */
static uint64_t missing(const struct pages *pages, uint64_t wanted)
{
	const struct memory *memory = &pages->memory;
	/* A quarter more than the reserve, so that the next block does not ask again. */
	int64_t n = (int64_t)(memory->reserve + memory->reserve / 4) - room(pages);

	if (n < (int64_t)wanted)
		n = (int64_t)wanted;
	if (n > (int64_t)pages->lent.total)
		n = (int64_t)pages->lent.total;
	return n > 0 ? (uint64_t)n : 0;
}

void memory_answered(struct pages *pages, uint64_t round)
{
	struct memory *memory = &pages->memory;

	/* Rounds that have been taken up since then are still to be answered. */
	if (memory->answered < round)
		memory->answered = round;
	pthread_cond_broadcast(&pages->settled);
}

/* Ask those who have memory for what is missing.  False if there is no need. */
static bool ask(struct pages *pages)
{
	struct memory *memory = &pages->memory;
	uint64_t round = memory->asked, wanted = memory->wanted, n;
	bool more = false;

	if (!memory_can_ask(memory) || (memory->asked == memory->taken_up && !low(pages)))
		return false;
	memory->wanted = 0;
	memory->taken_up = round;
	memory->asked_at = room(pages) - (int64_t)(memory->reserve / 8);
	n = missing(pages, wanted);
	if (n > 0 && memory->user.reclaim != NULL) {
		uint64_t before = memory->reclaimed;

		pthread_mutex_unlock(&pages->lock);
		more = memory->user.reclaim(memory->user.opaque, n << LAYOUT_PAGE_SHIFT) > 0;
		pthread_mutex_lock(&pages->lock);
		wanted -= memory->reclaimed - before < wanted ? memory->reclaimed - before : wanted;
		n = missing(pages, wanted);
	}
	if (n > 0 && memory->lender != NULL)
		more |= memory->lender_reclaim(memory->lender, n, round);
	/* More to come: whoever waits goes on waiting, until it comes or his time is over. */
	if (more)
		pthread_cond_broadcast(&pages->settled);
	else
		memory_answered(pages, round);
	return true;
}

/* ---- lending -------------------------------------------------------------------------------- */

struct range {
	uint8_t *memory;
	size_t length;
};

static void clear_access(void *opaque)
{
	const struct range *range = opaque;

	pm_clear(range->memory, range->length);
}

int memory_clear(struct pages *pages, uint64_t first, uint64_t n)
{
	const struct pm *pm = &pages->device->pm;
	struct range range = { pm_page(pm, first), n << LAYOUT_PAGE_SHIFT };
	struct fault fault;
	int rc;

	if (guard_run(pm, clear_access, &range, &fault))
		return 0;
	rc = fault_error(pages->device, &fault);
	if (rc == -EIO)
		pages_mark_bad(pages, fault.page);
	return rc;
}

/* A run of the set becomes lent. */
static void lend_resident(struct pages *pages, uint64_t first, uint64_t n)
{
	pages->stored -= n;
	pageset_add(&pages->lent, first, n);
}

/* A run without storage becomes lent, if the file system has room.  Drops the lock. */
static int lend_absent(struct pages *pages, uint64_t first, uint64_t n)
{
	int rc;

	/* Counted at once: it is settled that the promises can do without these pages. */
	pageset_add(&pages->lent, first, n);
	pthread_mutex_unlock(&pages->lock);
	rc = device_allocate(pages->device, first << LAYOUT_PAGE_SHIFT, n << LAYOUT_PAGE_SHIFT);
	pthread_mutex_lock(&pages->lock);
	if (rc != 0) {
		pageset_remove(&pages->lent, first, n);
		pages_absent_run(pages, first, n);
	}
	return rc;
}

int memory_lend(struct pages *pages, uint64_t n, uint64_t align, uint64_t *first)
{
	/* Where in the device an aligned address lies: the mapping need not begin at one. */
	uint64_t shift = -((uintptr_t)pages->device->pm.base >> LAYOUT_PAGE_SHIFT) & (align - 1);
	int rc;

	if (memory_lendable(pages) < n)
		return -ENOMEM;
	do {
		if (unneeded(pages) >= n &&
		    pageset_take_aligned(&pages->resident, n, align, shift, first)) {
			lend_resident(pages, *first, n);
			pthread_mutex_unlock(&pages->lock);
			rc = memory_clear(pages, *first, n);
			pthread_mutex_lock(&pages->lock);
			if (rc != 0)
				memory_return(pages, *first, n);
			return rc;
		}
		/* What was freshly released may make the run whole. */
	} while (pages_spill(pages));
	if (!pageset_take_aligned(&pages->absent, n, align, shift, first))
		return -ENOMEM;
	return lend_absent(pages, *first, n);
}

void memory_return(struct pages *pages, uint64_t first, uint64_t n)
{
	pageset_remove(&pages->lent, first, n);
	pages->stored += n;
	pages_free_run(pages, first, n);
	/* Admissions that wait may fit now. */
	pthread_cond_broadcast(&pages->settled);
	memory_changed(pages);
}

/* Offer one run of what is free.  False if there is none, or it was refused. */
static bool offer(struct pages *pages)
{
	struct memory *memory = &pages->memory;
	uint64_t most = memory_lendable(pages);
	uint64_t first, n;
	bool taken;

	if (memory->user.release == NULL || !memory->released)
		return false;
	if (most > unneeded(pages))
		most = unneeded(pages);
	if (most > 0 && pages->resident.total == 0)
		pages_spill(pages);
	n = most > 0 ? pageset_take_back(&pages->resident, most, &first) : 0;
	if (n == 0) {
		memory->released = false;
		return false;
	}
	lend_resident(pages, first, n);
	/* What is released meanwhile sets it again. */
	memory->released = false;
	pthread_mutex_unlock(&pages->lock);
	taken = memory_clear(pages, first, n) == 0 &&
		memory->user.release(memory->user.opaque, pm_page(&pages->device->pm, first),
				     n << LAYOUT_PAGE_SHIFT) > 0;
	pthread_mutex_lock(&pages->lock);
	if (taken)
		memory->released = true;
	else
		memory_return(pages, first, n);
	return true;
}

/* ---- punching ------------------------------------------------------------------------------- */

static bool too_much(const struct pages *pages)
{
	/* Not what a writer that is short has just had storage given to. */
	return pages->memory.punch && pages->waiting == 0 && unneeded(pages) > pages->memory.keep;
}

/* Take the storage of one run away, on the way to three quarters of `keep`.  False if at the end. */
static bool punch(struct pages *pages)
{
	struct memory *memory = &pages->memory;
	uint64_t floor = memory->keep - memory->keep / 4;
	int64_t n;

	if (too_much(pages))
		memory->punching = true;
	if (!memory->punching || pages->waiting > 0 || unneeded(pages) <= floor) {
		memory->punching = false;
		return false;
	}
	n = pages_drop_storage(pages, unneeded(pages) - floor);
	if (n > 0)
		memory->punched += (uint64_t)n;
	if (n == 0 && !pages_spill(pages)) {
		pthread_mutex_unlock(&pages->lock);
		n = pages_empty_slots(pages);
		pthread_mutex_lock(&pages->lock);
		/* If none: the rest is with writers or retired, and comes back this way. */
		memory->punching = n > 0;
	}
	/* A device that refuses is tried again when something else is released. */
	if (n < 0)
		memory->punching = false;
	return memory->punching;
}

/* ---- the thread ----------------------------------------------------------------------------- */

void memory_changed(struct pages *pages)
{
	struct memory *memory = &pages->memory;

	if (!memory->running)
		return;
	if (too_much(pages) || (memory_can_ask(memory) && low(pages)) ||
	    (memory->user.release != NULL && memory->released))
		pthread_cond_signal(&memory->work);
}

static void *keeper(void *opaque)
{
	struct pages *pages = opaque;
	struct memory *memory = &pages->memory;

	pthread_mutex_lock(&pages->lock);
	while (!memory->stop) {
		if (ask(pages) || offer(pages) || punch(pages))
			continue;
		/* Asked while the lock was dropped. */
		if (memory->stop || memory->asked != memory->taken_up)
			continue;
		pthread_cond_wait(&memory->work, &pages->lock);
	}
	pthread_mutex_unlock(&pages->lock);
	return NULL;
}

/*
 * Free pages that were given storage and never written were taken for absent ones at open, as
 * pages_find_storage() tells, too.  If the file has more storage than it should, make them that.
 * Before any thread: nobody looks at the sets.  What fails costs memory, and nothing else.
 */
static void punch_unwritten(struct pages *pages)
{
	uint64_t should = pages->first + 1 + pages->stored + pages->lent.total;
	struct pageset punched;
	uint64_t first, n;

	if (!pages->memory.punch ||
	    device_storage(pages->device) >> LAYOUT_PAGE_SHIFT <= should + pages->memory.keep ||
	    pageset_init(&punched, pages->first, pages->count) != 0)
		return;
	while ((n = pageset_take(&pages->absent, ZONE_PAGES, &first)) > 0) {
		(void)device_drop(pages->device, first << LAYOUT_PAGE_SHIFT,
				  n << LAYOUT_PAGE_SHIFT);
		pageset_add(&punched, first, n);
	}
	pageset_destroy(&pages->absent);
	pages->absent = punched;
}

int memory_start(struct pages *pages)
{
	struct memory *memory = &pages->memory;
	int rc;

	punch_unwritten(pages);
	rc = thread_start(&memory->thread, 0, keeper, pages);
	if (rc != 0)
		return thread_fail(rc, "start", pages->device->path, "memory");
	/* The reclaimer, which runs already, reads it. */
	pthread_mutex_lock(&pages->lock);
	memory->running = true;
	pthread_mutex_unlock(&pages->lock);
	return 0;
}

void memory_stop(struct pages *pages)
{
	struct memory *memory = &pages->memory;

	if (!memory->running)
		return;
	pthread_mutex_lock(&pages->lock);
	memory->stop = true;
	memory->running = false;
	pthread_cond_signal(&memory->work);
	pthread_mutex_unlock(&pages->lock);
	pthread_join(memory->thread, NULL);
	/* For another start, if this was the end of one that failed. */
	memory->stop = false;
}
