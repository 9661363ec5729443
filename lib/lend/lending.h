/* SPDX-License-Identifier: BSD-3-Clause */
/* lending.h - all that a lending server has.  See server.c. */
#ifndef LENDING_H
#define LENDING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/listen.h"
#include "kmemblk.h"
#include "lend/compaction.h"
#include "lend/loans.h"
#include "lend/pace.h"
#include "lend/peers.h"

struct lending {
	struct kmemblk *h;
	struct listener listener;
	int epoll;
	int event; /* an eventfd that wakes the thread; the pool has it, too */
	struct allowed allowed;
	uint64_t limit; /* zones a peer */
	void (*count_requests)(void *opaque,
			       struct kmemblk_request_counts counts[KMEMBLK_REQUEST_KINDS]);
	void *count_opaque;

	pthread_t thread;
	bool running;
	_Atomic bool stop;
	struct mover mover;

	/* The thread's own. */
	struct loans loans;
	struct pace pace;
	struct loans_options loans_options;
	char uuid[37];
	char *folder;	     /* of loan files; NULL: the usual one */
	struct peer **peers; /* places; a peer's number is its place; NULL: it is free */
	int peer_count;	     /* places in use or used */
	int peer_room;
	int peer_most;		     /* more are refused */
	int turn;		     /* the first to be served of those who wait */
	bool asking;		     /* recall_answered_locked() is still due ... */
	uint64_t asked;		     /* ... for this round */
	struct timespec look_at;     /* when to look at watched zones */
	unsigned int look_ms;	     /* and how long after that, if nothing is free then */
	struct timespec audit_at;    /* when to audit the next loans */
	struct timespec eager_until; /* a peer was refused a zone a moment ago and may try again */
};

#endif /* LENDING_H */
