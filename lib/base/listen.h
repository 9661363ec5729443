/* SPDX-License-Identifier: BSD-3-Clause */
/* listen.h - a server's socket.  See listen.c. */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

/* The socket, and where it has its name. */
struct listener {
	int fd;
	int folder;
	char *name; /* in the folder */
	bool named; /* by us, so it is to be removed, if it still is this one: */
	dev_t dev;
	ino_t ino;
};

struct listener_options {
	const char *what; /* what it is for: the first word of messages */
	const char *path;
	int type;    /* SOCK_SEQPACKET or SOCK_STREAM */
	mode_t mode; /* 0 means 0600 */
	uid_t owner; /* these two: -1 as made */
	gid_t group;
};

/*
 * Make the socket and listen: 0 or -errno with message.  `l` has the descriptors -1 and is else empty;
 * to be closed also after an error.
 */
int listener_make(struct listener *l, const struct listener_options *options);
/* The next who has connected, not to be waited for; -1: nobody now. */
int listener_accept(const struct listener *l);
/* Remove the socket, if it still is the one that was made, and stop listening. */
void listener_close(struct listener *l);

#endif /* LISTEN_H */
