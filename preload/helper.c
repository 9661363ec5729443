/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * helper.c - the threads that borrow for the heap: from their start to their end, and a fork between.
 *
 * Two, started when the heap has grown past what is worth while: the helper, and the connection's receiver.
 * They have a table of descriptors of their own, in which nothing of the program's is, so that the program
 * can neither close nor use what is theirs; it sees none of it.
 *
 * fork(): the thread that forks has the helper map all loans again, privately (loan.c), and holds the heap's
 * lock from then until the fork is over.  Before that it takes the helper's turn, and before it takes
 * jemalloc's locks: the helper, which calls jemalloc only in its turn, never waits for them meanwhile.
 * When the last child has gone (family.c), the rest is copied, and the loans are over.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/error.h"
#include "base/thread.h"
#include "family.h"
#include "heap.h"
#include "helper.h"
#include "kmemblk.h"
#include "helping.h"

/* How long the server may take; and where there is nothing else than what it lends. */
#define PATIENCE_MS	   100
#define STRICT_PATIENCE_MS 10000
/* When to try again where no server was. */
#define ABSENT_MS 10000
#define STACK	  (256 * 1024)

struct helper helper = { .turn = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER };
__thread bool is_helper;

/* ---- what is said --------------------------------------------------------------------------- */

/*
 * On the program's standard error, if that is what it was at the start: by a descriptor of our own, for a
 * moment, so that nobody waits for its end because of us.
 */
static void say(const char *message)
{
	int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd == -1)
		return;
	if (fstat(fd, &st) == 0 && st.st_dev == helper.device && st.st_ino == helper.inode)
		dprintf(fd, "kmemblk: run: %s\n", message);
	close(fd);
}

/* Once: a program that may not borrow any more, such as one that has changed its user, goes on. */
static void away(void *opaque, int rc)
{
	static bool said;

	(void)opaque;
	if ((rc != -EACCES && rc != -EPERM) || said)
		return;
	said = true;
	say(kmemblk_error());
}

/* ---- the connection ------------------------------------------------------------------------- */

static void recalled(void *opaque)
{
	(void)opaque;
	pthread_mutex_lock(&heap.lock);
	helper.recalled = true;
	pthread_cond_signal(&helper.work);
	pthread_mutex_unlock(&heap.lock);
}

static void renewed(void *opaque)
{
	(void)opaque;
	borrowing_tell_held();
}

/* The program's descriptors are closed in our table only. */
static int open_connection(void)
{
	static const struct connection_calls calls = { .renewed = renewed,
						       .recalled = recalled,
						       .away = away };
	uint64_t limit;
	int rc;

	if (unshare(CLONE_FILES) == -1)
		return fail_errno(errno, "borrow: %s: a table of descriptors", helper.socket);
	close_range(0, ~0u, 0);
	rc = connection_open(&helper.connection, helper.socket, &calls);
	if (rc != 0)
		return rc;
	helper.connection.patience_ms = heap.strict ? STRICT_PATIENCE_MS : PATIENCE_MS;
	if (helper.connection.of_device)
		rc = fail(EOPNOTSUPP,
			  "borrow: %s: it lends the memory of a devdax device, which a program "
			  "cannot have as its heap: serve a file on a DAX file system instead (see "
			  "nbdkit-kmemblk-plugin(1), \"Lending to other programs\")",
			  helper.socket);
	else if (helper.connection.zone_size != HEAP_SLOT)
		rc = fail(EPROTO, "borrow: %s: it lends zones of another size", helper.socket);
	limit = helper.limit < helper.connection.limit ? helper.limit : helper.connection.limit;
	if (rc == 0 && limit < HEAP_SLOT)
		rc = fail(EINVAL,
			  "borrow: %s: the limit of %llu bytes is less than a zone, which has %zu: "
			  "raise --limit, or lend-limit= of the server",
			  helper.socket, (unsigned long long)limit, HEAP_SLOT);
	helper.loans_most = limit / HEAP_SLOT;
	if (rc != 0)
		connection_close(&helper.connection);
	return rc;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* Until there is something to do, or the next second. */
static void wait_locked(void)
{
	struct timespec until = helper.tick_at;

	if (helper.missed && deadline_left_ns(&helper.retry_at) < deadline_left_ns(&until))
		until = helper.retry_at;
	if (helper.wanted == 0 && !helper.recalled && !helper.end && !helper.private_wanted &&
	    !deadline_passed(&until))
		pthread_cond_clockwait(&helper.work, &heap.lock, CLOCK_MONOTONIC, &until);
}

static void serve(void)
{
	pthread_mutex_lock(&heap.lock);
	while (!helper.end || helper.private_wanted) {
		if (helper.private_wanted) {
			borrowing_make_private_locked();
			continue;
		}
		wait_locked();
		/* Who forks has the turn: it will want something, or be over soon. */
		if (helper.private_wanted || helper.end)
			continue;
		if (pthread_mutex_trylock(&helper.turn) != 0) {
			struct timespec until = deadline_after(1);

			pthread_cond_clockwait(&helper.work, &heap.lock, CLOCK_MONOTONIC, &until);
			continue;
		}
		pthread_mutex_unlock(&heap.lock);
		borrowing_work();
		pthread_mutex_unlock(&helper.turn);
		pthread_mutex_lock(&heap.lock);
	}
	pthread_mutex_unlock(&heap.lock);
}

/* Reported to who waits for the start, if anybody does. */
static char start_message[1024];
static int start_rc;

static void *help(void *opaque)
{
	int rc;

	(void)opaque;
	is_helper = true;
	helper.thread_id = gettid();
	pthread_mutex_lock(&helper.turn);
	rc = open_connection();
	if (rc == 0) {
		rc = helper.exchange();
		if (rc != 0)
			connection_close(&helper.connection);
	}
	snprintf(start_message, sizeof(start_message), "%s", rc != 0 ? kmemblk_error() : "");
	pthread_mutex_unlock(&helper.turn);
	pthread_mutex_lock(&heap.lock);
	start_rc = rc;
	helper.state = rc == 0 ? READY : FAILED;
	helper.flowing = rc == 0;
	helper.retry_at = deadline_after(rc == 0 ? 0 : ABSENT_MS);
	helper.tick_at = deadline_after(0);
	pthread_cond_broadcast(&heap.changed);
	pthread_mutex_unlock(&heap.lock);
	if (rc != 0) {
		if (!heap.strict)
			away(NULL, rc);
		return NULL;
	}
	serve();
	connection_close(&helper.connection);
	family_close();
	return NULL;
}

/* ---- starting and ending -------------------------------------------------------------------- */

void helper_init(const char *socket, uint64_t limit, int (*exchange)(void))
{
	struct stat st;

	snprintf(helper.socket, sizeof(helper.socket), "%s", socket);
	helper.limit = limit;
	helper.exchange = exchange;
	heap.borrow_locked = borrowing_borrow_locked;
	heap.can_borrow_locked = borrowing_can_locked;
	heap.must_borrow = borrowing_must;
	if (fstat(STDERR_FILENO, &st) == 0) {
		helper.device = st.st_dev;
		helper.inode = st.st_ino;
	}
}

/* Without the lock: a moment sooner or later is as good. */
bool helper_is_due(void)
{
	int state = atomic_load_explicit(&helper.state, memory_order_relaxed);

	return (state == NONE || (state == FAILED && deadline_passed(&helper.retry_at))) &&
	       !is_helper;
}

unsigned int helper_threads(void)
{
	/* With the receiver. */
	return atomic_load_explicit(&helper.state, memory_order_relaxed) == READY ? 2 : 0;
}

int helper_start(void)
{
	pthread_mutex_lock(&heap.lock);
	if ((helper.state != NONE && helper.state != FAILED) || helper.forking) {
		pthread_mutex_unlock(&heap.lock);
		return 0;
	}
	if (helper.state == FAILED)
		thread_join(helper.thread, &helper.thread_id);
	helper.state = STARTING;
	helper.end = false;
	pthread_mutex_unlock(&heap.lock);
	/* Making a thread allocates; so does the thread. */
	is_helper = true;
	start_rc = thread_start(&helper.thread, STACK, help, NULL);
	is_helper = false;
	if (start_rc == 0)
		return 0;
	pthread_mutex_lock(&heap.lock);
	helper.state = NONE;
	helper.retry_at = deadline_after(ABSENT_MS);
	pthread_cond_broadcast(&heap.changed);
	pthread_mutex_unlock(&heap.lock);
	return thread_fail(start_rc, "borrow", helper.socket, "helper");
}

int helper_start_and_wait(void)
{
	int rc = helper_start();

	if (rc != 0)
		return rc;
	pthread_mutex_lock(&heap.lock);
	while (helper.state == STARTING)
		pthread_cond_wait(&heap.changed, &heap.lock);
	rc = start_rc;
	pthread_mutex_unlock(&heap.lock);
	return rc == 0 ? 0 : fail(-rc, "%s", start_message);
}

/* The turn and heap.lock, when it is not starting: it needs its turn for that. */
static void lock_started(void)
{
	pthread_mutex_lock(&helper.turn);
	pthread_mutex_lock(&heap.lock);
	while (helper.state == STARTING) {
		pthread_mutex_unlock(&helper.turn);
		pthread_cond_wait(&heap.changed, &heap.lock);
		pthread_mutex_unlock(&heap.lock);
		pthread_mutex_lock(&helper.turn);
		pthread_mutex_lock(&heap.lock);
	}
}

void helper_end(bool for_good)
{
	bool exists;

	if (!heap.active)
		return;
	lock_started();
	/* One that has failed may not have returned yet. */
	exists = helper.state == READY || helper.state == FAILED;
	if (helper.state == READY) {
		helper.end = helper.private_wanted = true;
		pthread_cond_signal(&helper.work);
	}
	if (exists)
		helper.state = ENDING;
	pthread_mutex_unlock(&heap.lock);
	if (exists)
		thread_join(helper.thread, &helper.thread_id);
	pthread_mutex_lock(&heap.lock);
	if (helper.state != BARRED)
		helper.state = for_good ? BARRED : NONE;
	pthread_mutex_unlock(&heap.lock);
	pthread_mutex_unlock(&helper.turn);
}

/* ---- fork ----------------------------------------------------------------------------------- */

void helper_before_fork_first(void)
{
	if (!heap.active)
		return;
	pthread_mutex_lock(&helper.turn);
	pthread_mutex_lock(&heap.lock);
	/* Handlers that allocate from now on do not wait for a helper that cannot come. */
	helper.forking = true;
	pthread_mutex_unlock(&heap.lock);
}

void helper_before_fork_last(void)
{
	if (!heap.active)
		return;
	pthread_mutex_lock(&heap.lock);
	helper.private_rc = 0;
	if (helper.state != READY || borrowing_loans_locked() == 0)
		return;
	helper.private_wanted = true;
	pthread_cond_signal(&helper.work);
	while (helper.private_wanted)
		pthread_cond_wait(&heap.changed, &heap.lock);
}

bool helper_in_parent(void)
{
	bool good;

	if (!heap.active)
		return true;
	family_in_parent();
	good = helper.private_rc == 0;
	helper.forking = false;
	pthread_mutex_unlock(&heap.lock);
	pthread_mutex_unlock(&helper.turn);
	return good;
}

void helper_in_child(void)
{
	if (!heap.active)
		return;
	/* What it would see is not its memory. */
	if (helper.private_rc != 0)
		_exit(127);
	pthread_mutex_init(&heap.lock, NULL);
	pthread_cond_init(&heap.changed, NULL);
	pthread_mutex_init(&helper.turn, NULL);
	pthread_cond_init(&helper.work, NULL);
	family_in_child();
	if (helper.state != BARRED)
		helper.state = NONE;
	helper.wanted = 0;
	helper.flowing = helper.missed = helper.recalled = helper.forking = false;
	heap_forked_locked();
}
