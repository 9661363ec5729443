/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clients.h - those who are connected to a control socket: each sends a line and is sent one.  See clients.c.
 *
 * All of it is one thread's.
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define CLIENTS_MOST 64

struct client {
	int fd; /* -1: gone */
	uid_t uid;
	struct timespec until; /* it is to have done what it does */
	char *text;	       /* what it has sent, or what it is to be sent; owned */
	size_t length;
	size_t sent;
	bool answered; /* which of the two */
};

struct clients {
	struct client client[CLIENTS_MOST]; /* the oldest first */
	unsigned int count;
	/* Makes the answer to a line, which comes without its newline and with a NUL; NULL: hang up. */
	char *(*answer)(void *opaque, uid_t uid, const char *line, size_t length);
	void *opaque;
};

/* Somebody has connected; the descriptor becomes theirs. */
void clients_add(struct clients *clients, int fd);

/* What to wait for, one of each client in their order; and for how long, in milliseconds: -1 for ever. */
void clients_await(const struct clients *clients, struct pollfd polls[CLIENTS_MOST]);
int clients_patience(const struct clients *clients);

/* Do what can be done without waiting, after poll() with what clients_await() said. */
void clients_serve(struct clients *clients, const struct pollfd *polls);

/* Hang up on all. */
void clients_end(struct clients *clients);

#endif /* CLIENTS_H */
