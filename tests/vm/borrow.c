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
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "asking.h"

static volatile sig_atomic_t stop;

static void on_term(int number)
{
	(void)number;
	stop = 1;
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

static int tell(const char *path)
{
	int server = packet_connect(path), none;

	if (server == -1)
		die(path);
	puts((const char *)(ask(server, LEND_STAT, &none) + 1));
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t round = 0, **zone;
	int server, zones;
	size_t length, words;

	if (argc < 2)
		return 2;
	if (argc == 2)
		return tell(argv[1]);
	server = ask_hello(argv[1], &length);
	signal(SIGTERM, on_term);
	zones = (int)strtol(argv[2], NULL, 10);
	zone = calloc((size_t)zones, sizeof(zone[0]));
	if (zone == NULL)
		die("no memory");
	words = length / sizeof(zone[0][0]);
	for (int i = 0; i < zones; i++)
		zone[i] = ask_zone(server);
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
