/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * borrower.h - a borrower without threads for the caller and without messages, for an allocator
 * (preload/) and for the calls of kmemblk.h.  See borrower.c.
 */
#ifndef BORROWER_H
#define BORROWER_H

#include <pthread.h>

#include "kmemblk.h"
#include "borrow/connection.h"

struct borrowed {
	uintptr_t memory; /* 0 none */
	uint64_t offset;  /* in the device */
};

struct kmemblk_borrower {
	struct connection connection;
	pthread_mutex_t lock;	/* what follows; taken before those of the connection */
	struct borrowed *zones; /* a hash table by memory */
	size_t places;		/* of it, a power of two */
	size_t used;
	uint64_t returned; /* bytes, ever */
	/* With a recall callback only. */
	pthread_t thread;
	void (*recall)(void *opaque, size_t length);
	void *opaque;
};

/* Errors as for kmemblk_borrower_connect(), with a message. */
int borrower_init(struct kmemblk_borrower *b, const char *socket);
void borrower_destroy(struct kmemblk_borrower *b);

/*
 * Borrow a zone at `at`, a range of its size, and aligned to it, that is the caller's.  No message,
 * no malloc; errors as for kmemblk_borrower_borrow().
 */
int borrower_borrow(struct kmemblk_borrower *b, void *at, unsigned int wait_ms);

/*
 * The zone at `memory` is mapped no more: tell the server.  No message, no malloc; -EINVAL it is
 * no zone of this borrower's.
 */
int borrower_gone(struct kmemblk_borrower *b, const void *memory);

#endif /* BORROWER_H */
