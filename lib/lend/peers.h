/* SPDX-License-Identifier: BSD-3-Clause */
/* peers.h - who may borrow, and who does.  See peers.c. */
#ifndef PEERS_H
#define PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "lend/loans.h"

/* A connection. */
struct peer {
	int fd;
	struct owner owner; /* its loans */
	pid_t pid;
	uid_t uid;
	char name[32];
	time_t since;
	bool greeted;
	bool waiting; /* for a zone, until ... */
	struct timespec until;
	uint64_t asked;	      /* LEND_RECALLs that it was sent ... */
	uint64_t answered;    /* ... and those that it has answered */
	unsigned int refused; /* of its answers, with 0 */
};

/* Who may connect. */
struct allowed {
	struct allow_rule *rule;
	unsigned int count;
	bool all;
};

/* Read a list as in "uid:1000,gid:50"; NULL allows all.  0 or -errno with message. */
int allowed_parse(struct allowed *allowed, const char *list);
void allowed_free(struct allowed *allowed);

/* How many may be connected at once. */
int peers_most(void);

/* Say who is at the other end of a socket; false if he may not borrow. */
bool peer_identify(struct peer *peer, const struct allowed *allowed);

#endif /* PEERS_H */
