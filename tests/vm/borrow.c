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
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lend/protocol.h"

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

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		exit(2);
	strcpy(address.sun_path, path);
	if (fd == -1 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		die(path);
	return fd;
}

/* Say one thing and hear the answer, with its text or its descriptor (or -1) if they are asked for. */
static struct lend_message ask(int server, enum lend_kind kind, char *text, int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct lend_message message = { .version = LEND_VERSION, .kind = kind };
	struct iovec parts[2] = { { &message, sizeof(message) }, { text, LEND_PACKET_MAX } };
	struct msghdr packet = { .msg_iov = parts,
				 .msg_iovlen = text != NULL ? 2 : 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *cmsg;

	if (kind == LEND_BORROW)
		message.value = 10000;
	if (send(server, &message, sizeof(message), 0) == -1 || recvmsg(server, &packet, 0) <= 0)
		die("the server does not answer");
	cmsg = CMSG_FIRSTHDR(&packet);
	if (fd != NULL)
		*fd = -1;
	if (fd != NULL && cmsg != NULL && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(cmsg), sizeof(*fd));
	errno = -message.status;
	if (message.status != 0)
		die("the server refuses");
	return message;
}

static void *borrow(int server)
{
	struct lend_message zone;
	void *memory;
	int fd;

	zone = ask(server, LEND_BORROW, NULL, &fd);
	memory =
		mmap(NULL, zone.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)zone.offset);
	if (memory == MAP_FAILED)
		die("mmap of a zone");
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
	static char text[LEND_PACKET_MAX + 1];
	uint64_t round = 0, **zone;
	int server, zones;
	size_t words;

	if (argc < 2)
		return 2;
	server = connect_to(argv[1]);
	if (argc == 2) {
		ask(server, LEND_STAT, text, NULL);
		puts(text);
		return 0;
	}
	signal(SIGTERM, on_term);
	zones = (int)strtol(argv[2], NULL, 10);
	zone = calloc((size_t)zones, sizeof(zone[0]));
	if (zone == NULL)
		die("no memory");
	words = ask(server, LEND_HELLO, NULL, NULL).length / sizeof(zone[0][0]);
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
