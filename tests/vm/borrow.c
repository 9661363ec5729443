/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * borrow.c - a program that lives on borrowed zones and keeps nothing but their mappings.
 *
 * usage: borrow SOCKET [ZONES]
 *
 * Without ZONES: print what the lending server tells of itself.  With it: borrow so many zones, map
 * each, close its descriptor and, at the end, the connection, so that only the mappings say that the
 * zones are in use.  Then write all of them again and again, each time after a check that they hold
 * what was written last, until SIGTERM.  Exits 1 with a sentence if somebody else has written there.
 *
 * Speaks the protocol itself: it must not do what a client library would for it.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/packet.h"

static volatile sig_atomic_t stop;

static void on_term(int number)
{
	(void)number;
	stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "borrow: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Say one thing and hear the answer: it, with its text behind it, and its descriptor or -1. */
static const struct lend_message *ask(int server, enum lend_kind kind, int *fd)
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

static void *borrow(int server)
{
	int fd;
	const struct lend_message *zone = ask(server, LEND_BORROW, &fd);
	void *memory = mmap(NULL, zone->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    (off_t)zone->offset);

	if (memory == MAP_FAILED)
		die("mmap of a zone");
	if (write(fd, "", 1) != -1) {
		puts("borrow: the device can be written by a mistaken descriptor");
		exit(1);
	}
	close(fd);
	return memory;
}

static uint64_t word(int zone, size_t i, uint64_t round)
{
	return round == 0 ? 0 : ((uint64_t)zone << 48 ^ i) + round * 0x9e3779b97f4a7c15;
}

/* What a zone must hold after a round; a borrowed one is zeroed, which is round 0. */
static void verify(const uint64_t *memory, size_t words, int zone, uint64_t round)
{
	for (size_t i = 0; i < words; i++)
		if (memory[i] != word(zone, i, round)) {
			printf("borrow: zone %d, byte %zu: somebody else has written here\n", zone,
			       i * sizeof(memory[i]));
			exit(1);
		}
}

int main(int argc, char **argv)
{
	uint64_t round = 0, **zone;
	int server, zones, none;
	size_t words;

	if (argc < 2)
		return 2;
	server = packet_connect(argv[1]);
	if (server == -1)
		die(argv[1]);
	if (argc == 2) {
		puts((const char *)(ask(server, LEND_STAT, &none) + 1));
		return 0;
	}
	signal(SIGTERM, on_term);
	zones = (int)strtol(argv[2], NULL, 10);
	zone = calloc((size_t)zones, sizeof(zone[0]));
	if (zone == NULL)
		die("no memory");
	words = ask(server, LEND_HELLO, &none)->length / sizeof(zone[0][0]);
	for (int i = 0; i < zones; i++)
		zone[i] = borrow(server);
	close(server);
	for (; !stop; round++) {
		for (int i = 0; i < zones; i++) {
			verify(zone[i], words, i, round);
			for (size_t j = 0; j < words; j++)
				zone[i][j] = word(i, j, round + 1);
		}
		if (round == 0) {
			puts("borrowed");
			fflush(stdout);
		}
	}
	for (int i = 0; i < zones; i++)
		verify(zone[i], words, i, round);
	printf("%d zones were written %lu times, and nothing else was found in them\n", zones,
	       round);
	return 0;
}
