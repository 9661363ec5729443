/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap.c - a program that knows nothing of kmemblk, to be run by `kmemblk run`.
 *
 *   heap fork         children see memory as it was when they were forked, and keep what they store
 *                     to themselves, while threads of the parent go on storing
 *   heap store        threads store and read(2) into memory, which must hold what was put there, until
 *                     its input ends
 *   heap take MIB     touches so much, prints how much it got and waits for the end of its input
 *   heap align MIB    has memory of every alignment up to that
 *   heap exit         ends its main thread before the other one
 *   heap log MIB      has no standard error, and a thread that writes to it all the time, while it
 *                     touches so much
 *   heap stray        stores to the byte after the last zone
 *
 * Exit 0: all was as it must be; 1: it was not, and standard error says what.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB	((size_t)1 << 20)
#define WORDS	(24 * MIB / sizeof(uint64_t))
#define THREADS 3
#define FORKS	12

static _Atomic bool stop;
static void *volatile kept;

static void die(const char *what)
{
	fprintf(stderr, "heap: %s\n", what);
	exit(1);
}

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	if (!memory)
		die("malloc failed");
	return memory;
}

static void start(pthread_t *thread, void *(*run)(void *), void *opaque)
{
	if (pthread_create(thread, NULL, run, opaque))
		die("no thread");
}

/* ---- fork ----------------------------------------------------------------------------------- */

/*
 * Every word is stored in ascending order again and again, the next number each time: at any
 * instant the words are n...n, n-1...n-1.
 */
static void *count_up(void *opaque)
{
	_Atomic uint64_t *words = opaque;

	for (uint64_t n = 1; !stop; n++) {
		for (size_t i = 0; i < WORDS; i += 64)
			atomic_store(&words[i], n);
	}
	return NULL;
}

static void check_instant(const _Atomic uint64_t *words)
{
	uint64_t first = words[0];
	bool before = true;

	for (size_t i = 0; i < WORDS; i += 64) {
		uint64_t n = words[i];

		before = before && n == first;
		if (n != first && (before || n + 1 != first)) {
			fprintf(stderr, "heap: word %zu is %ju after %ju\n", i, (uintmax_t)n,
				(uintmax_t)first);
			_exit(1);
		}
	}
}

static int be_child(_Atomic uint64_t **words)
{
	uint64_t sums[2] = { 0, 0 };

	for (int round = 0; round < 2; round++) {
		for (int t = 0; t < THREADS; t++) {
			check_instant(words[t]);
			for (size_t i = 0; i < WORDS; i += 64)
				sums[round] += words[t][i];
		}
		usleep(20000);
	}
	if (sums[0] != sums[1]) {
		fprintf(stderr, "heap: a child sees what its parent stores\n");
		return 1;
	}
	for (int t = 0; t < THREADS; t++) {
		for (size_t i = 0; i < WORDS; i++)
			words[t][i] = UINT64_MAX;
	}
	/* malloc works on. */
	kept = allocate(8 * MIB);
	memset(kept, 1, 8 * MIB);
	return 0;
}

static int test_fork(void)
{
	static _Atomic uint64_t *words[THREADS];
	pthread_t threads[THREADS];
	FILE *file = fopen("/dev/null", "w"); /* libc stores to it around a fork */
	int status;

	for (int t = 0; t < THREADS; t++) {
		words[t] = allocate(WORDS * sizeof(uint64_t));
		memset((void *)words[t], 0, WORDS * sizeof(uint64_t));
		start(&threads[t], count_up, words[t]);
	}
	for (int i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork failed");
		if (!pid)
			_exit(be_child(words));
		if (waitpid(pid, &status, 0) != pid || status)
			die("a child failed");
	}
	stop = true;
	for (int t = 0; t < THREADS; t++) {
		pthread_join(threads[t], NULL);
		for (size_t i = 0; i < WORDS; i++) {
			if (words[t][i] == UINT64_MAX)
				die("the parent sees what a child stored");
		}
	}
	fclose(file);
	return 0;
}

/* ---- store ---------------------------------------------------------------------------------- */

static void *store(void *opaque)
{
	uint64_t *words = allocate(WORDS * sizeof(*words)), seed = (uintptr_t)opaque;
	size_t at;

	memset(words, 0, WORDS * sizeof(*words));
	for (uint64_t n = 1; !stop; n++) {
		for (at = 0; at < WORDS; at += 16) {
			if (words[at] != (n - 1) * (seed + at))
				die("a store is lost");
			words[at] = n * (seed + at);
		}
	}
	free(words);
	return NULL;
}

static void *receive(void *opaque)
{
	size_t size = 8 * MIB, at = 0;
	unsigned char *buffer = allocate(size);
	int *fds = opaque;
	unsigned char next = 0;
	ssize_t n;

	while ((n = read(fds[0], buffer + at, size - at < 60000 ? size - at : 60000)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buffer[at + (size_t)i] != next++)
				die("read(2) stored something else");
		}
		at = (at + (size_t)n) % size;
	}
	if (n < 0)
		die(strerror(errno));
	free(buffer);
	return NULL;
}

static void *transmit(void *opaque)
{
	unsigned char bytes[4096];
	int *fds = opaque;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	while (!stop) {
		if (write(fds[1], bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes))
			die("write failed");
	}
	close(fds[1]);
	return NULL;
}

static void await_end_of_input(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static int test_store(void)
{
	pthread_t threads[THREADS + 2];
	int fds[2];

	if (pipe(fds))
		die("no pipe");
	for (uintptr_t t = 0; t < THREADS; t++)
		start(&threads[t], store, (void *)(t + 1));
	start(&threads[THREADS], receive, fds);
	start(&threads[THREADS + 1], transmit, fds);
	await_end_of_input();
	stop = true;
	for (int t = 0; t < THREADS + 2; t++)
		pthread_join(threads[t], NULL);
	return 0;
}

/* ---- take ----------------------------------------------------------------------------------- */

static int test_take(size_t mib)
{
	size_t got = 0;

	for (; got < mib; got++) {
		void *memory = malloc(MIB);

		if (!memory)
			break;
		memset(memory, 0xa5, MIB);
		/* Loans come in the background, and on a busy machine not at once. */
		usleep(10000);
	}
	printf("%zu\n", got);
	fflush(stdout);
	await_end_of_input();
	return 0;
}

/* ---- faults --------------------------------------------------------------------------------- */

/* The end of the last mapping of a file that is shared and writable: of a zone. */
static volatile unsigned char *end_of_zones(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to, last = 0;
	char line[4096], mode[8];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3 && !strcmp(mode, "rw-s"))
			last = to;
	}
	if (maps)
		fclose(maps);
	if (!last)
		die("no zone");
	return (volatile unsigned char *)last;
}

static int test_stray(void)
{
	kept = allocate(8 * MIB);
	memset(kept, 1, 8 * MIB);
	*end_of_zones() = 1;
	die("a stray store did not fault");
	return 1;
}

static int test_align(unsigned int mib)
{
	for (size_t alignment = 4096; alignment <= mib * MIB; alignment *= 2) {
		void *memory;

		if (posix_memalign(&memory, alignment, 3 * MIB) != 0)
			die("no memory of this alignment");
		if ((uintptr_t)memory % alignment != 0)
			die("not aligned");
		memset(memory, 1, 3 * MIB);
		kept = memory;
		free(memory);
	}
	return 0;
}

static void *end_last(void *opaque)
{
	pthread_t *main_thread = opaque;

	pthread_join(*main_thread, NULL);
	puts("the last thread");
	return NULL;
}

static int test_exit(void)
{
	static pthread_t main_thread;
	pthread_t thread;

	main_thread = pthread_self();
	start(&thread, end_last, &main_thread);
	pthread_exit(NULL);
}

static void *write_log(void *opaque)
{
	static const char line[] = "a line of the log of an ordinary program\n";

	(void)opaque;
	while (!stop)
		/* Mostly EBADF. */
		if (write(STDERR_FILENO, line, sizeof(line) - 1) == -1)
			continue;
	return NULL;
}

static int test_log(unsigned int mib)
{
	pthread_t thread;

	close(STDERR_FILENO);
	start(&thread, write_log, NULL);
	for (unsigned int i = 0; i < mib; i++) {
		kept = allocate(MIB);
		memset(kept, 1, MIB);
	}
	stop = true;
	pthread_join(thread, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned int number = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;

	if (!strcmp(what, "fork"))
		return test_fork();
	if (!strcmp(what, "store"))
		return test_store();
	if (!strcmp(what, "take"))
		return test_take(number);
	if (!strcmp(what, "align"))
		return test_align(number);
	if (!strcmp(what, "exit"))
		return test_exit();
	if (!strcmp(what, "log"))
		return test_log(number);
	if (!strcmp(what, "stray"))
		return test_stray();
	die("no such test");
	return 1;
}
