/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mallocs.c - a program that knows nothing of kmemblk, to be run by `kmemblk run`: its heap is small at first,
 * and grows so that all that it allocates comes from somewhere else.
 *
 *   mallocs all       what each function of malloc's family gave before is as it was, and can be made larger
 *                     and given back, after
 *   mallocs forks     while threads allocate, and the exchange comes, others fork, with handlers that allocate,
 *                     and children allocate
 *   mallocs linked    with jemalloc linked to the program: what it knows of, and what it gives, is the heap
 *
 * Prints how many mappings of loans there are.  Exit 0: all was as it must be; 1: it was not, and standard
 * error says what.
 */
#include "config.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef WITH_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

#include "common/check.h"

#define MIB	((size_t)1 << 20)
#define KINDS	9
#define EACH	8
#define BYTES	5000
#define THREADS 2

/* For the compiler memory that nobody looks at is none. */
static void *volatile kept;

static int count_loans(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[4096];
	int loans = 0;

	CHECK(maps != NULL, "no maps");
	while (fgets(line, sizeof(line), maps) != NULL)
		loans += strstr(line, ".loans/") != NULL;
	fclose(maps);
	return loans;
}

/*
 * Past what is worth while to borrow for, until something is borrowed, however long that takes; what was allocated is
 * given back.
 */
static void grow(void)
{
	static void *memory[400];
	const size_t most = sizeof(memory) / sizeof(memory[0]);

	for (size_t n = 0; count_loans() == 0; n = (n + 1) % most) {
		free(memory[n]);
		memory[n] = malloc(MIB / 4);
		CHECK(memory[n] != NULL, "no memory");
		memset(memory[n], 1, MIB / 4);
		/* The helper is given time. */
		usleep(10000);
	}
	for (size_t n = 0; n < most; n++)
		free(memory[n]);
}

static void *allocate(int kind)
{
	void *memory = NULL;

	switch (kind) {
	case 0:
		return malloc(BYTES);
	case 1:
		return calloc(BYTES / 10, 10);
	case 2:
		return realloc(NULL, BYTES);
	case 3:
		return reallocarray(malloc(1), BYTES / 10, 10);
	case 4:
		return posix_memalign(&memory, 256, BYTES) == 0 ? memory : NULL;
	case 5:
		return aligned_alloc(1024, 5 * 1024);
	case 6:
		return memalign(64, BYTES);
	case 7:
		return valloc(BYTES);
	default:
		return pvalloc(BYTES);
	}
}

static void check_bytes(const unsigned char *memory, size_t n, unsigned char value)
{
	for (size_t i = 0; i < n; i++)
		CHECK(memory[i] == value, "byte %zu is %u, not %u", i, memory[i], value);
}

static void check_family(unsigned char *memory[KINDS][EACH], bool first)
{
	for (int kind = 0; kind < KINDS; kind++)
		for (int i = 0; i < EACH; i++) {
			unsigned char value = (unsigned char)(kind * EACH + i);

			if (first) {
				memory[kind][i] = allocate(kind);
				CHECK(memory[kind][i] != NULL, "no memory of kind %d", kind);
				CHECK(malloc_usable_size(memory[kind][i]) >= BYTES, "not usable");
				if (kind == 1)
					check_bytes(memory[kind][i], BYTES, 0);
				memset(memory[kind][i], value, BYTES);
				continue;
			}
			check_bytes(memory[kind][i], BYTES, value);
			CHECK(malloc_usable_size(memory[kind][i]) >= BYTES, "not usable");
			if (i % 4 == 0)
				memory[kind][i] = realloc(memory[kind][i], 100);
			if (i % 4 == 1)
				memory[kind][i] = realloc(memory[kind][i], 3 * MIB);
			CHECK(memory[kind][i] != NULL, "no memory");
			check_bytes(memory[kind][i], 100, value);
			free(memory[kind][i]);
		}
}

static void test_all(void)
{
	static unsigned char *before[KINDS][EACH], *after[KINDS][EACH];

	check_family(before, true);
	CHECK(count_loans() == 0, "a small program borrows");
	grow();
	check_family(after, true);
	check_family(before, false);
	check_family(after, false);
	kept = malloc(MIB);
	printf("%d\n", count_loans());
}

/* ---- forks ---------------------------------------------------------------------------------- */

static _Atomic bool stop;

/* Some so large that no thread keeps them for itself. */
static size_t choose_size(size_t i)
{
	return i % 2 ? 100 + i * 37 % 3000 : 40000 + i * 37 % 30000;
}

static void *allocate_always(void *opaque)
{
	void *memory[64] = { NULL };

	(void)opaque;
	for (size_t i = 0; !stop; i++) {
		free(memory[i % 64]);
		memory[i % 64] = malloc(choose_size(i));
		CHECK(memory[i % 64] != NULL, "no memory");
		memset(memory[i % 64], 1, 100);
	}
	for (int i = 0; i < 64; i++)
		free(memory[i]);
	return NULL;
}

static void allocate_once(void)
{
	static _Atomic size_t times;
	void *memory = malloc(choose_size(times++));

	CHECK(memory != NULL, "no memory");
	memset(memory, 1, 1);
	kept = memory;
	free(memory);
}

static void *fork_always(void *opaque)
{
	int status;

	(void)opaque;
	while (!stop) {
		pid_t pid = fork();

		CHECK(pid != -1, "fork: %m");
		if (pid == 0) {
			for (int i = 0; i < 200; i++)
				allocate_once();
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0, "a child: %#x", status);
	}
	return NULL;
}

static void test_forks(void)
{
	pthread_t threads[2 * THREADS];

	CHECK(pthread_atfork(allocate_once, allocate_once, allocate_once) == 0, "atfork");
	for (int i = 0; i < 2 * THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, i % 2 ? allocate_always : fork_always,
				     NULL) == 0,
		      "no thread");
	grow();
	for (int i = 0; i < 50; i++)
		allocate_once();
	usleep(200000);
	stop = true;
	for (int i = 0; i < 2 * THREADS; i++)
		pthread_join(threads[i], NULL);
	kept = malloc(MIB);
	printf("%d\n", count_loans());
}

/* ---- jemalloc of its own -------------------------------------------------------------------- */

#ifdef WITH_JEMALLOC
static size_t get_allocated(void)
{
	size_t bytes, size = sizeof(bytes);
	uint64_t epoch = 1;

	CHECK(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)) == 0, "mallctl");
	CHECK(mallctl("stats.allocated", &bytes, &size, NULL, 0) == 0, "mallctl");
	return bytes;
}

static void test_linked(void)
{
	void *early = malloc(BYTES), *other = mallocx(BYTES, 0);
	size_t before = get_allocated();

	grow();
	kept = malloc(8 * MIB);
	memset(kept, 1, 8 * MIB);
	CHECK(get_allocated() - before >= 8 * MIB, "jemalloc does not know of it");
	CHECK(sallocx(early, 0) == malloc_usable_size(early), "two sizes");
	dallocx(early, 0);
	free(other);
	other = malloc(BYTES);
	other = rallocx(other, MIB, 0);
	sdallocx(other, MIB, 0);
	printf("%d\n", count_loans());
}
#endif

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (!strcmp(what, "all"))
		test_all();
	else if (!strcmp(what, "forks"))
		test_forks();
#ifdef WITH_JEMALLOC
	else if (!strcmp(what, "linked"))
		test_linked();
#endif
	else
		CHECK(false, "no such test");
	return 0;
}
