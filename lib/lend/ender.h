/* SPDX-License-Identifier: BSD-3-Clause */
/* ender.h - the thread that ends loans on fsdax.  See ender.c. */
#ifndef ENDER_H
#define ENDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Something to be ended; part of what is. */
struct ending {
	STAILQ_ENTRY(ending) next;
	int rc; /* 0, or -errno: not ended */
};

STAILQ_HEAD(endings, ending);

struct ender {
	/* Set before it is started.  `ended` is called by the thread when something is done. */
	int (*end)(void *opaque, struct ending *ending);
	void (*ended)(void *opaque);
	void *opaque;

	pthread_t thread;
	bool running;
	int signal; /* that wakes it */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct endings todo, done;
	bool stop;
	_Atomic int64_t busy_since; /* ns; 0: it is not */
};

/* 0 or -errno with message, which names the object `what`. */
int ender_start(struct ender *ender, const char *what);
/* What has not been ended stays as it is. */
void ender_stop(struct ender *ender);

void ender_put(struct ender *ender, struct ending *ending);
/* What it is done with; NULL: nothing. */
struct ending *ender_take(struct ender *ender);

/*
 * If it has been at one thing for long, have it give that up for now.  Returns true while it is at
 * something.
 */
bool ender_hurry(struct ender *ender);

#endif /* ENDER_H */
