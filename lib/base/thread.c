/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thread.c - start a thread of the library's own.
 *
 * Signals are for the threads of the program, which may not expect one more, and whose handlers may
 * not be made for a small stack: they are blocked in ours, whatever the caller had blocked.  The
 * signals that an instruction causes are not, and must not be: the kernel ends a process whose
 * thread has them blocked when they come, without asking the program's handler, and ours for media
 * errors (guard.c) would never run.
 */
#include "config.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/thread.h"

static void make_mask(sigset_t *mask)
{
	static const int caused[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS };

	sigfillset(mask);
	for (size_t i = 0; i < sizeof(caused) / sizeof(caused[0]); i++)
		sigdelset(mask, caused[i]);
}

int thread_start(pthread_t *thread, size_t stack, void *(*run)(void *opaque), void *opaque)
{
	pthread_attr_t attr;
	sigset_t mask, old;
	int err = pthread_attr_init(&attr);

	if (err != 0)
		return -err;
	if (stack != 0)
		err = pthread_attr_setstacksize(&attr, stack);
	if (err == 0) {
		/* It inherits the mask, so no signal can come before it is set. */
		make_mask(&mask);
		pthread_sigmask(SIG_SETMASK, &mask, &old);
		err = pthread_create(thread, &attr, run, opaque);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	pthread_attr_destroy(&attr);
	return -err;
}

void thread_join(pthread_t thread, const pid_t *id)
{
	pthread_join(thread, NULL);
	while (tgkill(getpid(), *id, 0) == 0)
		usleep(20); /* a yield alone may keep it from its processor */
}

int thread_fail(int rc, const char *what, const char *object, const char *name)
{
	char reason[128];

	return fail(-rc,
		    "%s: %s: cannot make the %s thread: %s: raise the limit on threads (ulimit -u, "
		    "or TasksMax= of a service)",
		    what, object, name, strerror_r(-rc, reason, sizeof(reason)));
}
