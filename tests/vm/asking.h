/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * asking.h - a borrower of the programs in guests: it speaks the protocol itself, since it must not do
 * what a client library would for it.
 *
 * What goes wrong ends the program, with a sentence.
 */
#ifndef ASKING_H
#define ASKING_H

#include "common/packet.h"

_Noreturn void die(const char *what);

/* Say one thing and hear the answer: it, with its text behind it, and its descriptor or -1. */
const struct lend_message *ask(int server, enum lend_kind kind, int *fd);

/* Connect and be welcomed: the connection; *length is a zone's. */
int ask_hello(const char *path, size_t *length);

/* A zone, of which nothing is left open: its mapping. */
void *ask_zone(int server);

#endif /* ASKING_H */
