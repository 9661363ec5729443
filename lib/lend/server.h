/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.h - the server that lends zones to other processes.  See server.c.
 *
 * Below it: loans.c, which zone is with whom; peers.c, who may borrow;
 * protocol.h, what is said; compaction.c, how zones become whole.  Beside it: talk.c, what it
 * says, and status.c, what it tells of itself.
 */
#ifndef SERVER_H
#define SERVER_H

#include "kmemblk.h"

/* Make the socket.  0 or -errno with message. */
int lending_make(struct kmemblk *h, const struct kmemblk_lend_options *options);
/* Start and end the threads, if there is a socket.  0 or -errno with message. */
int lending_start(struct kmemblk *h);
void lending_stop(struct kmemblk *h);
/* Remove the socket; what is lent stays with its borrowers.  The threads have ended. */
void lending_close(struct kmemblk *h);

#endif /* SERVER_H */
