/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * park.h - a thread that is stopped in the middle of a request, where a wrapped function calls park(),
 * while others go on.
 *
 * Included by one file of a program.  By relaxed atomics: see shortage.h.
 */
#ifndef PARK_H
#define PARK_H

#include "common/await.h"
#include "shortage.h"

static _Atomic bool parked, go;

/* By the thread that is to be stopped: wait for park_end(). */
static inline void park(void)
{
	SET(parked, true);
	AWAIT(GET(go));
}

/* Start a thread, and wait until it is stopped. */
static inline pthread_t park_start(void *(*run)(void *), void *opaque)
{
	pthread_t thread;

	SET(parked, false);
	SET(go, false);
	CHECK(pthread_create(&thread, NULL, run, opaque) == 0, "pthread_create");
	AWAIT(GET(parked));
	return thread;
}

/* Let it go on, and wait for its end. */
static inline void park_end(pthread_t thread)
{
	SET(go, true);
	pthread_join(thread, NULL);
}

#endif /* PARK_H */
