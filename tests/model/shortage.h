/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shortage.h - a writer on a device with next to no free page, who takes whichever there is.
 *
 * He overwrites one block again and again, so each page that is free comes to him soon; and looks
 * after each write whether he has got the one that he is not to get.
 */
#ifndef SHORTAGE_H
#define SHORTAGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "harness.h"
#include "io/handle.h"

/* Among threads that are to be seen racing: puts nothing in order for ThreadSanitizer. */
#define GET(object)	atomic_load_explicit(&(object), memory_order_relaxed)
#define SET(object, to) atomic_store_explicit(&(object), (to), memory_order_relaxed)

struct shortage {
	struct kmemblk *handle;
	uint32_t block;
	uint64_t page; /* the one in question */
	pthread_t thread;
	_Atomic bool enough;
	_Atomic bool reached;	      /* the block is on `page` */
	_Atomic unsigned int written; /* version of the block */
};

/* A write that must succeed; and the page that a block's entry names. */
void shortage_write(struct kmemblk *handle, uint32_t block, uint32_t version);
uint64_t shortage_page(const struct kmemblk *handle, uint32_t block);

/* Begin to overwrite `block`, until it is on `page` or shortage_end(). */
void shortage_begin(struct shortage *s, struct kmemblk *handle, uint32_t block, uint64_t page);

/*
 * Wait until the block is on the page: true.  False if it has not come to that in very many writes,
 * or if the writer has stopped for want of any page (grace-watch.h).
 */
bool shortage_reaches(const struct shortage *s);

/* The same, for when nothing keeps him from going on: however slow he is, he has not stopped. */
bool shortage_must_reach(const struct shortage *s);

/* Tell the writer to end; and wait until he has, once there are pages for him. */
void shortage_end(struct shortage *s);
void shortage_join(struct shortage *s);

#endif /* SHORTAGE_H */
