/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * helping.h - what helper.c and borrowing.c have in common: the state of the helper, and what it does.
 */
#ifndef HELPING_H
#define HELPING_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "borrow/connection.h"

enum helper_state { NONE, STARTING, READY, ENDING, FAILED, BARRED };

struct helper {
	char socket[PATH_MAX]; /* a program may overwrite its environment */
	uint64_t limit;	       /* bytes */
	int (*exchange)(void); /* the heap is to be used, as it can have loans */

	/* Held by the helper while it does anything that may call jemalloc, and by who forks. */
	pthread_mutex_t turn;
	pthread_cond_t work; /* with heap.lock: it waits */
	pthread_t thread;
	pid_t thread_id; /* set by itself, read by who has joined it */
	struct connection connection;
	_Atomic enum helper_state state;

	/* Standard error of the program, at its start. */
	dev_t device;
	ino_t inode;

	/* Under heap.lock. */
	size_t wanted;	     /* slots */
	uint64_t loans_most; /* slots, by all limits */
	bool flowing;	     /* the server has loans, as far as is known */
	bool missed;	     /* somebody has had to do without */
	bool recalled;
	bool end;
	bool private_wanted; /* who forks waits for this */
	int private_rc;
	bool forking;
	struct timespec retry_at; /* ask again, for what was missed */
	struct timespec tick_at;
};

extern struct helper helper;

/*
 * This thread is the helper, or starts it, or gives jemalloc its hooks: what it needs is ordinary memory, and it
 * never waits.
 */
extern __thread bool is_helper;

/* For heap.h: how the heap has loans, and whether. */
bool borrowing_borrow_locked(size_t slot);
bool borrowing_can_locked(void);
bool borrowing_must(void);

/* Slots that are loans, and not over. */
uint64_t borrowing_loans_locked(void);

/* All that is to be done now.  With the turn, and without heap.lock. */
void borrowing_work(void);
/* Who forks, or ends the helper, wants all loans private. */
void borrowing_make_private_locked(void);
/* Tell a server that has been started again what this process has of the one before. */
void borrowing_tell_held(void);

#endif /* HELPING_H */
