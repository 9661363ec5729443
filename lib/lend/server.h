/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lending.h - the server that lends zones to other processes.  See lending.c.
 *
 * Below it: loans.c, which zone is with whom; peers.c, who may borrow; status.c, what it tells of
 * itself; protocol.h, what is said.
 */
#ifndef LENDING_H
#define LENDING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "kmemblk.h"
#include "lend/loans.h"
#include "lend/protocol.h"

/* A connection. */
struct peer {
	int fd; /* -1: this place is free */
	pid_t pid;
	uid_t uid;
	char name[32];
	time_t since;
	bool greeted;
	bool waiting; /* for a zone, until ... */
	struct timespec until;
	uint64_t zones;
	unsigned int asked; /* requests to give back that it has not answered */
	unsigned int
		refused; /* that it had not answered when the writer gave up, or answered with 0 */
};

/* Who may connect; see peers.c. */
struct allowed {
	struct allow_rule *rule;
	unsigned int count;
	bool all;
};

/* The socket, and where it has its name. */
struct listener {
	int fd;
	int folder;
	char *name; /* in the folder */
	bool named; /* by us, so it is to be removed, if it still is this one: */
	dev_t dev;
	ino_t ino;
};

struct lending {
	struct kmemblk *h;
	struct listener listener;
	int epoll;
	int event; /* an eventfd that wakes the thread */
	struct allowed allowed;
	uint64_t limit; /* zones a peer */
	void (*count_requests)(void *opaque,
			       struct kmemblk_request_counts counts[KMEMBLK_REQUEST_KINDS]);
	void *count_opaque;

	pthread_t thread;
	bool running;
	_Atomic bool stop;
	_Atomic unsigned int holders; /* connected peers that have zones */
	/* Covered by pages->lock: what the memory thread has noted. */
	uint64_t reclaim; /* pages to ask for ... */
	uint64_t round;	  /* ... and in which round */

	/* The thread's own. */
	struct loans loans;
	struct peer *peers; /* places; a peer's number is its place */
	int peer_count;	    /* places in use or used */
	int peer_room;
	int peer_most;		     /* more are refused */
	bool asking;		     /* memory_answered() is still due ... */
	uint64_t asked;		     /* ... for this round */
	struct timespec look_at;     /* when to look at watched zones */
	unsigned int look_ms;	     /* and how long after that, if nothing is free then */
	struct timespec eager_until; /* a peer was refused a zone a moment ago and may try again */
};

/* Make the socket.  0 or -errno with message. */
int lending_make(struct kmemblk *h, const struct kmemblk_lend_options *options);
/* Start and end the threads, if there is a socket.  0 or -errno with message. */
int lending_start(struct kmemblk *h);
void lending_stop(struct kmemblk *h);
/* Remove the socket; what is lent stays with its borrowers.  The threads have ended. */
void lending_close(struct kmemblk *h);

/* ---- listen.c ------------------------------------------------------------------------------- */

/*
 * Make the socket and listen: 0 or -errno with message.  `l` has the descriptors -1 and is else empty;
 * to be closed also after an error.
 */
int listener_make(struct listener *l, const struct kmemblk_lend_options *options);
/* Remove the socket, if it still is the one that was made, and stop listening. */
void listener_close(struct listener *l);

/* ---- peers.c -------------------------------------------------------------------------------- */

/* Read a list as in "uid:1000,gid:50"; NULL allows all.  0 or -errno with message. */
int allowed_parse(struct allowed *allowed, const char *list);
void allowed_free(struct allowed *allowed);

/* How many may be connected at once. */
int peers_most(void);

/* Say who is at the other end of a socket; false if he may not borrow. */
bool peer_identify(struct peer *peer, const struct allowed *allowed);

/* ---- status.c ------------------------------------------------------------------------------- */

/* JSON text for LEND_STATUS, at most `most` bytes, to be freed; NULL without memory. */
char *lending_status(struct lending *lending, size_t most);

#endif /* LENDING_H */
