/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * talk.h - what a lending server says to a peer, by its number, but for zones (server.c).
 *
 * Nothing here waits: a peer whose queue is full does not read, and is dropped.
 */
#ifndef TALK_H
#define TALK_H

#include <stdbool.h>

struct lend_message;
struct lending;

/* Send a message, with a descriptor if `fd` is not -1 and with text.  False: the peer is dropped. */
bool talk_say(struct lending *lending, int number, const struct lend_message *message, int fd,
	      const char *text);
void talk_welcome(struct lending *lending, int number);
void talk_status(struct lending *lending, int number);
/* There is no zone for it, for that reason. */
void talk_refuse(struct lending *lending, int number, int rc);

/* Hang up; its loans are worth a look. */
void talk_end(struct lending *lending, int number);
/* A connection that becomes no peer: say why, rather than only hang up. */
void talk_turn_away(int fd, int status);

#endif /* TALK_H */
