/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * packet.h - the borrower's side of a lending socket, for tests that speak it word by word: one
 * packet, with the descriptor that may come with it.  What it must say is the test's matter.
 */
#ifndef PACKET_H
#define PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lend/protocol.h"

/* The address of a socket; a path that is too long is cut. */
struct sockaddr_un packet_address(const char *path);

/* A connection: a descriptor, or -1 with errno. */
int packet_connect(const char *path);

/* False if the server has hung up. */
bool packet_send(int fd, uint32_t kind, uint64_t offset, uint64_t value);

/* As recv(2) returns.  *descriptor: the one that came with it, the caller's to close; -1 for none. */
ssize_t packet_receive(int fd, void *message, size_t size, int *descriptor);

#endif /* PACKET_H */
