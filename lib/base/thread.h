/* SPDX-License-Identifier: BSD-3-Clause */
/* thread.h - start a thread of the library's own.  See thread.c. */
#ifndef THREAD_H
#define THREAD_H

#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Start a thread that takes no signal which was meant for the program, and every one that is the
 * consequence of what the thread itself does.  `stack` bytes of stack, 0: as many as usual.  0 or
 * -errno.
 */
int thread_start(pthread_t *thread, size_t stack, void *(*run)(void *opaque), void *opaque);

/*
 * Join a thread, and wait until it is gone for the kernel too; `id` is what gettid(2) told it, and is
 * read after the join.  pthread_join() alone returns a moment sooner: in that moment the process still
 * counts as one of several threads, and unshare(2) and setns(2) refuse what they refuse to such.
 */
void thread_join(pthread_t thread, const pid_t *id);

/* Set the message for a thread of that name that could not be started, and return rc. */
int thread_fail(int rc, const char *what, const char *object, const char *name);

#endif /* THREAD_H */
