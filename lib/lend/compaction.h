/* SPDX-License-Identifier: BSD-3-Clause */
/* compaction.h - make whole zones out of scattered free pages.  See compaction.c. */
#ifndef COMPACTION_H
#define COMPACTION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/handle.h"

/* The thread. */
struct mover {
	struct kmemblk *h;
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	_Atomic uint64_t moved; /* blocks, ever */
	/* Called when zones may have become whole. */
	void (*done)(void *opaque);
	void *opaque;
};

/* Somebody would take so many whole zones now; 0 when nobody does any more. */
void compaction_want_locked(struct pool *pool, uint64_t zones);

/*
 * For the mover.  Begin to evacuate as many of the emptiest zones as are wanted and as
 * there is room for their blocks elsewhere: how many.
 */
uint64_t compaction_begin_locked(struct pool *pool);
/* True if a zone that is being evacuated still has blocks, or pages that are on their way. */
bool compaction_unfinished_locked(const struct pool *pool);

/* `h`, `done` and `opaque` are set.  0 or -errno with message. */
int mover_start(struct mover *mover);
void mover_stop(struct mover *mover);

#endif /* COMPACTION_H */
