/* SPDX-License-Identifier: BSD-3-Clause */
/* listen.h - the socket of a lending server.  See listen.c. */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "kmemblk.h"

/* The socket, and where it has its name. */
struct listener {
	int fd;
	int folder;
	char *name; /* in the folder */
	bool named; /* by us, so it is to be removed, if it still is this one: */
	dev_t dev;
	ino_t ino;
};

/*
 * Make the socket and listen: 0 or -errno with message.  `l` has the descriptors -1 and is else empty;
 * to be closed also after an error.
 */
int listener_make(struct listener *l, const struct kmemblk_lend_options *options);
/* Remove the socket, if it still is the one that was made, and stop listening. */
void listener_close(struct listener *l);

#endif /* LISTEN_H */
