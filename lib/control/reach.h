/* SPDX-License-Identifier: BSD-3-Clause */
/* reach.h - the server that has a device open: find it, and ask it.  See reach.c. */
#ifndef REACH_H
#define REACH_H

#include "control/identity.h"
#include "control/usual.h"

/* A server that has been found, or why none was. */
struct reached {
	int fd;	      /* -1 none */
	int patience; /* in ms, for the answer; reach() makes it -1: as long as the server lives */
	char name[USUAL_SIZE];	      /* of the socket */
	char identity[IDENTITY_SIZE]; /* of the device; "": the socket itself was named */
	char why[400];		      /* what to say if somebody has the device all the same */
};

/*
 * Connect to the server of the device at `path`, or whose socket that is.  0, also if none was found: then r->fd is -1;
 * or -errno with message, if `path` is a socket.  To be ended by closing r->fd.
 */
int reach(struct reached *r, const char *path);

/*
 * Send a request, and wait for the answer, which is the caller's to free(): its length without the newline, or -errno
 * with message.
 */
ssize_t reach_ask(const struct reached *r, const char *request, char **answer);

#endif /* REACH_H */
