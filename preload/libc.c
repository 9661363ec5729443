/* SPDX-License-Identifier: BSD-3-Clause */
/* libc.c - see libc.h. */
#include "config.h"

#include "libc.h"

int libc_sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	return NEXT(sigaction)(signal, action, old);
}

int libc_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return NEXT(pthread_sigmask)(how, set, old);
}
