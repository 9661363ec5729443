/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stage.c - see stage.h.
 *
 * Stands, by the linker's --wrap, where the library waits, and where sections begin and end.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "fatal.h"
#include "io/collect.h"
#include "mutate.h"
#include "recorder.h"
#include "stage.h"

/* Longer than any scenario takes on the slowest machine: it hangs. */
#define HANGS_AFTER 900

enum position {
	ABSENT, /* has not entered */
	STANDS, /* before an event */
	RUNS,
	WAITS, /* in the library, until it is given steps */
	LEFT,
};

/* As many mutexes as a thread has at once. */
#define HELD_MAX 8u

static struct actor {
	enum position position;
	unsigned int steps;
	const pthread_mutex_t *held[HELD_MAX];
	unsigned int held_count;
} actors[DRIVEN_THREADS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;

static __thread struct actor *self; /* NULL: not on the stage */
static __thread bool own;

static bool held, settling;
static struct kmemblk *watched;
static unsigned int in_section; /* own threads */
static bool idle;		/* the reclaimer waits for work; covered by pool->lock */

int __real_pthread_mutex_lock(pthread_mutex_t *);
int __real_pthread_mutex_unlock(pthread_mutex_t *);
int __real_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int __real_pthread_cond_clockwait(pthread_cond_t *, pthread_mutex_t *, clockid_t,
				  const struct timespec *);
void __real_grace_wait(void);
void __real_grace_enter(void);
void __real_grace_leave(void);
bool __real_collect_for(struct kmemblk *, uint64_t);
uint64_t __real_collect_leaves_locked(struct kmemblk *);

int __wrap_pthread_mutex_lock(pthread_mutex_t *);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *);
int __wrap_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int __wrap_pthread_cond_clockwait(pthread_cond_t *, pthread_mutex_t *, clockid_t,
				  const struct timespec *);
void __wrap_grace_wait(void);
void __wrap_grace_enter(void);
void __wrap_grace_leave(void);
bool __wrap_collect_for(struct kmemblk *, uint64_t);
uint64_t __wrap_collect_leaves_locked(struct kmemblk *);

void stage_own_thread(void)
{
	own = true;
}

void stage_watch(struct kmemblk *handle)
{
	watched = handle;
}

void stage_hold_reclaimer(void)
{
	__real_pthread_mutex_lock(&lock);
	held = true;
	__real_pthread_mutex_unlock(&lock);
}

void stage_free_reclaimer(void)
{
	__real_pthread_mutex_lock(&lock);
	held = false;
	pthread_cond_broadcast(&moved);
	__real_pthread_mutex_unlock(&lock);
}

static void set_settling(bool value)
{
	__real_pthread_mutex_lock(&lock);
	settling = value;
	pthread_cond_broadcast(&moved);
	__real_pthread_mutex_unlock(&lock);
}

void stage_reclaim(void)
{
	struct pool *pool = &watched->pool;
	bool done;

	/* Else the reclaimer would begin, and how far it came would differ. */
	if (stage_in_section() && mutate.kind != MUTANT_NO_GRACE)
		return;
	set_settling(true);
	do {
		pthread_mutex_lock(&pool->lock);
		done = idle && !atomic_load_explicit(&pool->armed, memory_order_relaxed);
		if (!done)
			pool_hurry_locked(pool);
		pthread_mutex_unlock(&pool->lock);
		if (!done)
			sched_yield();
	} while (!done);
	set_settling(false);
}

void stage_clear(void)
{
	for (unsigned int i = 0; i < DRIVEN_THREADS; i++)
		actors[i] = (struct actor){ .position = ABSENT };
}

static void move(enum position position)
{
	self->position = position;
	pthread_cond_broadcast(&moved);
}

void stage_enter(unsigned int number)
{
	own = true;
	__real_pthread_mutex_lock(&lock);
	self = &actors[number];
	move(STANDS);
	while (self->steps == 0)
		__real_pthread_cond_wait(&moved, &lock);
	move(RUNS);
	__real_pthread_mutex_unlock(&lock);
}

void stage_leave(void)
{
	__real_pthread_mutex_lock(&lock);
	move(LEFT);
	__real_pthread_mutex_unlock(&lock);
}

void stage_step(void)
{
	if (self == NULL)
		return;
	__real_pthread_mutex_lock(&lock);
	if (self->steps == 0)
		move(STANDS);
	while (self->steps == 0)
		__real_pthread_cond_wait(&moved, &lock);
	if (self->position != RUNS)
		move(RUNS);
	if (self->steps != STAGE_TO_THE_END)
		self->steps--;
	__real_pthread_mutex_unlock(&lock);
}

/* Lock held.  True if the actor will do nothing before it is given steps. */
static bool at_rest(const struct actor *actor)
{
	return actor->position == LEFT ||
	       ((actor->position == STANDS || actor->position == WAITS) && actor->steps == 0);
}

bool stage_run(unsigned int number, unsigned int steps)
{
	struct actor *actor = &actors[number];
	struct timespec until;
	bool used;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += HANGS_AFTER;
	__real_pthread_mutex_lock(&lock);
	if (actor->position != LEFT)
		actor->steps = steps;
	pthread_cond_broadcast(&moved);
	while (!at_rest(actor))
		if (pthread_cond_timedwait(&moved, &lock, &until) == ETIMEDOUT)
			fatal("thread %u does not come to rest", number);
	used = actor->position != LEFT || actor->steps == 0 || steps == STAGE_TO_THE_END;
	__real_pthread_mutex_unlock(&lock);
	return used;
}

bool stage_has_left(unsigned int number)
{
	bool left;

	__real_pthread_mutex_lock(&lock);
	left = actors[number].position == LEFT;
	__real_pthread_mutex_unlock(&lock);
	return left;
}

bool stage_in_section(void)
{
	bool some;

	__real_pthread_mutex_lock(&lock);
	some = in_section > 0;
	__real_pthread_mutex_unlock(&lock);
	return some;
}

/* The reclaimer stands here unless it may free pages. */
static void stand_at_gate(void)
{
	__real_pthread_mutex_lock(&lock);
	while (held && !settling)
		__real_pthread_cond_wait(&moved, &lock);
	__real_pthread_mutex_unlock(&lock);
}

/*
 * A thread of the library waits, most often the reclaimer for work.  What it does next takes locks
 * that a thread of the scenario would find busy at one time and not at another.
 */
static int wait_for_work(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	bool reclaimer = watched != NULL && cond == &watched->pool.work;
	int rc;

	if (reclaimer)
		idle = true;
	rc = __real_pthread_cond_wait(cond, mutex);
	if (reclaimer)
		idle = false;
	pthread_mutex_unlock(mutex);
	stand_at_gate();
	pthread_mutex_lock(mutex);
	return rc;
}

/*
 * Nobody on the stage is woken by another: when that happened would depend on who is faster.  Who
 * waits looks again whenever he is given steps.
 */
static void wait_on_stage_locked(void)
{
	self->steps = 0;
	move(WAITS);
	while (self->steps == 0)
		__real_pthread_cond_wait(&moved, &lock);
	move(RUNS);
}

static void wait_on_stage(pthread_mutex_t *mutex)
{
	pthread_mutex_unlock(mutex);
	__real_pthread_mutex_lock(&lock);
	wait_on_stage_locked();
	__real_pthread_mutex_unlock(&lock);
	pthread_mutex_lock(mutex);
}

/* Lock held.  True if another actor has the mutex. */
static bool others_hold(const pthread_mutex_t *mutex)
{
	for (unsigned int i = 0; i < DRIVEN_THREADS; i++)
		for (unsigned int j = 0; j < actors[i].held_count; j++)
			if (actors[i].held[j] == mutex)
				return true;
	return false;
}

/*
 * A mutex that one has who stands: as in wait_on_stage().  Only one actor runs at a time, so nobody takes it
 * between the look and the lock.
 */
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (self == NULL)
		return __real_pthread_mutex_lock(mutex);
	if (mutate_leaves_open(mutex, watched))
		return 0;
	__real_pthread_mutex_lock(&lock);
	while (others_hold(mutex))
		wait_on_stage_locked();
	if (self->held_count == HELD_MAX)
		fatal("a thread has more than %u mutexes", HELD_MAX);
	self->held[self->held_count++] = mutex;
	__real_pthread_mutex_unlock(&lock);
	return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	unsigned int i = 0;

	if (self == NULL)
		return __real_pthread_mutex_unlock(mutex);
	if (mutate_leaves_open(mutex, watched))
		return 0;
	__real_pthread_mutex_lock(&lock);
	while (i < self->held_count && self->held[i] != mutex)
		i++;
	if (i == self->held_count)
		fatal("a thread lets go of a mutex that it has not");
	self->held[i] = self->held[--self->held_count];
	__real_pthread_mutex_unlock(&lock);
	return __real_pthread_mutex_unlock(mutex);
}

/* The only thread of a scenario waits for pages: it goes on when the reclaimer is done. */
static void wait_alone(pthread_mutex_t *mutex)
{
	uint64_t before = watched->pool.reclaimed;

	pthread_mutex_unlock(mutex);
	stage_reclaim();
	pthread_mutex_lock(mutex);
	if (watched->pool.reclaimed == before)
		fatal("waits for pages, and none has been retired");
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	if (!own)
		return wait_for_work(cond, mutex);
	if (self != NULL)
		wait_on_stage(mutex);
	else if (held && (cond == &watched->pool.page || cond == &watched->pool.freed))
		wait_alone(mutex);
	else
		return __real_pthread_cond_wait(cond, mutex);
	return 0;
}

int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
				  const struct timespec *until)
{
	/* A thread that stands still is not late: on the stage there is no time. */
	if (self != NULL)
		return __wrap_pthread_cond_wait(cond, mutex);
	return __real_pthread_cond_clockwait(cond, mutex, clock, until);
}

/* One who changes views waits until nobody on the stage is in a section. */
static void wait_for_sections(void)
{
	__real_pthread_mutex_lock(&lock);
	while (self != NULL && in_section > 0)
		wait_on_stage_locked();
	__real_pthread_mutex_unlock(&lock);
	__real_grace_wait();
}

void __wrap_grace_wait(void)
{
	if (own) {
		/* What others do until then is what the wait is for. */
		stage_step();
		if (!mutate_skips_wait())
			wait_for_sections();
		return;
	}
	stand_at_gate();
	if (mutate.kind != MUTANT_NO_GRACE || !held)
		__real_grace_wait();
}

static void count_sections(int by)
{
	if (!own)
		return;
	__real_pthread_mutex_lock(&lock);
	in_section += (unsigned int)by;
	__real_pthread_mutex_unlock(&lock);
}

void __wrap_grace_enter(void)
{
	count_sections(1);
	__real_grace_enter();
}

void __wrap_grace_leave(void)
{
	__real_grace_leave();
	count_sections(-1);
}

/* Leaves have been given up: what is taken next may be one of them, though another page is free. */
static void let_go_of_leaves(void)
{
	if (self != NULL)
		stage_step();
	else if (own && held)
		stage_reclaim();
}

bool __wrap_collect_for(struct kmemblk *h, uint64_t seen)
{
	bool again = __real_collect_for(h, seen);

	let_go_of_leaves();
	return again;
}

uint64_t __wrap_collect_leaves_locked(struct kmemblk *h)
{
	uint64_t given = __real_collect_leaves_locked(h);

	let_go_of_leaves();
	return given;
}
