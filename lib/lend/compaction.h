/* SPDX-License-Identifier: BSD-3-Clause */
/* move.h - the mover: makes whole zones out of scattered free pages.  See move.c. */
#ifndef MOVE_H
#define MOVE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct kmemblk;

/* In the handle. */
struct mover {
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	_Atomic uint64_t moved; /* blocks, ever */
	/* Called when zones may have become whole; set before mover_start(). */
	void (*done)(void *opaque);
	void *opaque;
};

/* 0 or -errno with message. */
int mover_start(struct kmemblk *h);
void mover_stop(struct kmemblk *h);

#endif /* MOVE_H */
