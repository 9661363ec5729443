/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * harmless-handler.c - for LD_PRELOAD: SIGUSR2 does nothing but interrupt system calls, and fallocate
 * is interrupted whenever SIGUSR2 could come, as it is by kernels that give up at any signal.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

static void do_nothing(int signum)
{
	(void)signum;
}

static void __attribute__((constructor)) install(void)
{
	struct sigaction action = { .sa_handler = do_nothing }; /* no SA_RESTART */

	sigaction(SIGUSR2, &action, NULL);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	int (*real)(int, int, off_t, off_t);
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (!sigismember(&blocked, SIGUSR2)) {
		errno = EINTR;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "fallocate");
	return real(fd, mode, offset, len);
}
