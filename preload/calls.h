/* SPDX-License-Identifier: BSD-3-Clause */
/* calls.h - libc's own of what calls.c puts itself before. */
#ifndef CALLS_H
#define CALLS_H

#include <signal.h>

int calls_sigaction(int signal, const struct sigaction *action, struct sigaction *old);
int calls_sigmask(int how, const sigset_t *set, sigset_t *old);

/* Register the handlers of fork, if that has not happened. */
void calls_register_fork(void);

#endif /* CALLS_H */
