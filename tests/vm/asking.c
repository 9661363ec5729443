/* SPDX-License-Identifier: BSD-3-Clause */
/* asking.c - see asking.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "asking.h"

void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

const struct lend_message *ask(int server, enum lend_kind kind, int *fd)
{
	static union {
		struct lend_message message;
		char bytes[sizeof(struct lend_message) + LEND_PACKET_MAX + 1];
	} answer;

	memset(&answer, 0, sizeof(answer));
	if (!packet_send(server, kind, 0, kind == LEND_BORROW ? 10000 : 0) ||
	    packet_receive(server, &answer, sizeof(answer) - 1, fd) <= 0)
		die("the server does not answer");
	errno = -answer.message.status;
	if (answer.message.status != 0)
		die("the server refuses");
	return &answer.message;
}

int ask_hello(const char *path, size_t *length)
{
	int server = packet_connect(path), none;

	if (server == -1)
		die(path);
	*length = ask(server, LEND_HELLO, &none)->length;
	return server;
}

void *ask_zone(int server)
{
	int fd;
	const struct lend_message *zone = ask(server, LEND_BORROW, &fd);
	void *memory = mmap(NULL, zone->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    (off_t)zone->value);

	if (memory == MAP_FAILED)
		die("mmap of a zone");
	if (write(fd, "", 1) != -1) {
		puts("what is lent can be written by a mistaken descriptor");
		exit(1);
	}
	close(fd);
	return memory;
}
