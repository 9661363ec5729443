/* SPDX-License-Identifier: BSD-3-Clause */
/* thread.c - which signals a thread of the library's takes, whatever its maker has blocked. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>

#include "base/thread.h"
#include "unit.h"

static void *tell_mask(void *opaque)
{
	pthread_sigmask(SIG_SETMASK, NULL, opaque);
	return NULL;
}

static void expect_mask(size_t stack)
{
	static const int caused[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	static const int sent[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPROF };
	pthread_t thread;
	sigset_t mask;

	ck_assert_int_eq(thread_start(&thread, stack, tell_mask, &mask), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	for (unsigned int i = 0; i < sizeof(caused) / sizeof(caused[0]); i++)
		ck_assert_int_eq(sigismember(&mask, caused[i]), 0);
	for (unsigned int i = 0; i < sizeof(sent) / sizeof(sent[0]); i++)
		ck_assert_int_eq(sigismember(&mask, sent[i]), 1);
	ck_assert_int_eq(sigismember(&mask, SIGRTMAX), 1);
}

START_TEST(test_faults_are_told_and_what_is_sent_is_not)
{
	sigset_t all, mine;

	expect_mask(0);
	expect_mask(128 * 1024);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	expect_mask(0);
	/* The maker's is as it was. */
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	ck_assert_int_eq(sigismember(&mine, SIGSEGV), 1);
	ck_assert_int_eq(sigismember(&mine, SIGTERM), 1);
}
END_TEST

START_TEST(test_a_failure_says_what_to_do)
{
	pthread_t thread;
	int rc = thread_start(&thread, PTHREAD_STACK_MIN - 1, tell_mask, NULL);

	ck_assert_int_eq(rc, -EINVAL);
	unit_expect_error(thread_fail(-EAGAIN, "start", "/dev/dax0.0", "mover"), EAGAIN,
			  "start: /dev/dax0.0: cannot make the mover thread: Resource temporarily "
			  "unavailable: raise the limit on threads (ulimit -u");
}
END_TEST

UNIT_MAIN("thread", test_faults_are_told_and_what_is_sent_is_not, test_a_failure_says_what_to_do)
