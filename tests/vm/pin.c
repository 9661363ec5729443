/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pin.c - a borrower that leaves pages in the kernel's hands: unmapped by it, or after its end, they
 * are still in use.
 *
 * usage: pin none SOCKET             none of them
 *        pin pipe SOCKET             one is in its standard output, a pipe
 *        pin read SOCKET FILE        a zone of them is what direct I/O reads FILE into
 *        pin count FILE              none of that: how many pages of FILE hold what the others leave
 *
 * Fills three zones with MARK, closes all but the mappings, and makes the file `pinned` in the working
 * folder when the kernel has pages; but whoever starts it must wait for direct I/O to be under way.  On
 * SIGTERM it unmaps the zones and makes the file `unmapped`.  It ends by SIGKILL only.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "asking.h"

#define ZONES 3
#define MARK  0xb7
#define PAGE  4096u
#define PART  ((size_t)1 << 20)

static void *zone[ZONES];
static size_t length;
static int source;

static void make(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1)
		die(name);
	close(fd);
}

/* Past the page cache, which may be behind what the media hold. */
static int count(const char *path)
{
	unsigned char *part = aligned_alloc(PAGE, PART), mark[64];
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	unsigned long found = 0;
	ssize_t n;

	if (part == NULL || fd == -1)
		die(path);
	memset(mark, MARK, sizeof(mark));
	while ((n = read(fd, part, PART)) > 0)
		for (ssize_t at = 0; at < n; at += PAGE)
			found += memcmp(part + at, mark, sizeof(mark)) == 0;
	if (n == -1)
		die(path);
	printf("%lu\n", found);
	return 0;
}

static void *read_directly(void *opaque)
{
	(void)opaque;
	if (pread(source, zone[0], length, 0) == -1)
		die("direct I/O");
	return NULL;
}

static void pin(char *const *argv)
{
	struct iovec page = { zone[0], PAGE };
	pthread_t thread;

	if (strcmp(argv[1], "pipe") == 0 && vmsplice(STDOUT_FILENO, &page, 1, 0) != PAGE)
		die("vmsplice");
	if (strcmp(argv[1], "read") != 0)
		return;
	source = open(argv[3], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (source == -1)
		die(argv[3]);
	errno = pthread_create(&thread, NULL, read_directly, NULL);
	if (errno != 0)
		die("thread");
}

int main(int argc, char **argv)
{
	sigset_t set;
	int server, number;

	if (argc == 3 && strcmp(argv[1], "count") == 0)
		return count(argv[2]);
	if (argc < 3 || (strcmp(argv[1], "read") == 0) != (argc == 4))
		return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	server = ask_hello(argv[2], &length);
	for (int i = 0; i < ZONES; i++) {
		zone[i] = ask_zone(server);
		memset(zone[i], MARK, length);
	}
	close(server);
	pin(argv);
	make("pinned");
	if (sigwait(&set, &number) != 0)
		die("sigwait");
	for (int i = 0; i < ZONES; i++)
		munmap(zone[i], length);
	make("unmapped");
	for (;;)
		pause();
}
