/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ender.c - the thread that ends loans on fsdax.
 *
 * There giving storage back waits for pages that the kernel has pinned, perhaps for ever (a page in
 * somebody's pipe), and Linux 6.1 can lose the wake-up.  So it is a thread's own matter, and a signal
 * ends the wait when it has lasted TURN_MS: what could not be ended is tried again later, and the next has its
 * turn.  The signal is a real-time one that nobody handles, found at the start; a handler that does
 * nothing makes it interrupt the call.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>

#include "base/deadline.h"
#include "base/error.h"
#include "base/thread.h"
#include "lend/ender.h"

#define TURN_MS 100

static void on_signal(int signum)
{
	(void)signum;
}

/* A signal that is nobody's.  -EBUSY: there is none. */
static int find_signal(void)
{
	struct sigaction action = { .sa_handler = on_signal }, old;

	sigemptyset(&action.sa_mask);
	for (int number = SIGRTMAX; number >= SIGRTMIN; number--)
		if (sigaction(number, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
		    (old.sa_handler == SIG_DFL || old.sa_handler == on_signal))
			return sigaction(number, &action, NULL) == 0 ? number : -errno;
	return -EBUSY;
}

static void *run(void *opaque)
{
	struct ender *ender = opaque;
	struct ending *ending;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, ender->signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pthread_mutex_lock(&ender->lock);
	while (!ender->stop) {
		ending = STAILQ_FIRST(&ender->todo);
		if (ending == NULL) {
			pthread_cond_wait(&ender->work, &ender->lock);
			continue;
		}
		STAILQ_REMOVE_HEAD(&ender->todo, next);
		/* Relaxed, here and where it is read: it only chooses the moment of a signal. */
		atomic_store_explicit(&ender->busy_since, now_ns(), memory_order_relaxed);
		pthread_mutex_unlock(&ender->lock);
		ending->rc = ender->end(ender->opaque, ending);
		atomic_store_explicit(&ender->busy_since, 0, memory_order_relaxed);
		pthread_mutex_lock(&ender->lock);
		STAILQ_INSERT_TAIL(&ender->done, ending, next);
		ender->ended(ender->opaque);
	}
	pthread_mutex_unlock(&ender->lock);
	return NULL;
}

int ender_start(struct ender *ender, const char *what)
{
	int rc = find_signal();

	if (rc < 0)
		return fail_errno(-rc, "start: %s: no signal is free, by which to end loans", what);
	ender->signal = rc;
	ender->stop = false;
	STAILQ_INIT(&ender->todo);
	STAILQ_INIT(&ender->done);
	pthread_mutex_init(&ender->lock, NULL);
	pthread_cond_init(&ender->work, NULL);
	rc = thread_start(&ender->thread, 0, run, ender);
	if (rc != 0)
		return thread_fail(rc, "start", what, "ending");
	ender->running = true;
	return 0;
}

void ender_stop(struct ender *ender)
{
	struct timespec until;
	int rc;

	if (!ender->running)
		return;
	pthread_mutex_lock(&ender->lock);
	ender->stop = true;
	pthread_cond_signal(&ender->work);
	pthread_mutex_unlock(&ender->lock);
	/* A signal that comes just before the wait begins ends nothing: again. */
	do {
		pthread_kill(ender->thread, ender->signal);
		until = deadline_after(TURN_MS / 10);
		rc = pthread_clockjoin_np(ender->thread, NULL, CLOCK_MONOTONIC, &until);
	} while (rc == ETIMEDOUT);
	ender->running = false;
	pthread_cond_destroy(&ender->work);
	pthread_mutex_destroy(&ender->lock);
}

void ender_put(struct ender *ender, struct ending *ending)
{
	pthread_mutex_lock(&ender->lock);
	STAILQ_INSERT_TAIL(&ender->todo, ending, next);
	pthread_cond_signal(&ender->work);
	pthread_mutex_unlock(&ender->lock);
}

struct ending *ender_take(struct ender *ender)
{
	struct ending *ending;

	pthread_mutex_lock(&ender->lock);
	ending = STAILQ_FIRST(&ender->done);
	if (ending != NULL)
		STAILQ_REMOVE_HEAD(&ender->done, next);
	pthread_mutex_unlock(&ender->lock);
	return ending;
}

bool ender_hurry(struct ender *ender)
{
	int64_t since;

	if (!ender->running)
		return false;
	since = atomic_load_explicit(&ender->busy_since, memory_order_relaxed);
	if (since != 0 && now_ns() - since > TURN_MS * INT64_C(1000000))
		pthread_kill(ender->thread, ender->signal);
	return since != 0;
}
