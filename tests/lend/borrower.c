/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * borrower.c - the borrower's calls of kmemblk.h, for the scripts of this folder.
 *
 *   borrower zones SOCKET     borrows and returns many, checks each
 *   borrower try SOCKET       borrows one without waiting
 *   borrower closed SOCKET    closes all its descriptors and goes on
 *   borrower unmapped SOCKET  is sent zones that it may not map, prints "ready", and stays
 *   borrower hold SOCKET N    borrows N zones, prints "ready", and serves recall until its input
 *                             ends; then prints how many bytes were asked back, and what it has
 *   borrower fault SOCKET     borrows all, prints "ready", and faults when it is asked to give back;
 *                             its handler ends it with status 42
 *   borrower away SOCKET      prints "ready"; its server then ends, and starts again at a line of
 *                             its input
 *   borrower returned SOCKET N  borrows N zones, prints "ready", returns them at a line of its input, prints
 *                             "ready" again, and stays until its input ends
 */
#include "config.h"

#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"
#include "kmemblk.h"

#define ZONES 150
/* For a zone that must come, however slow the machine is; the test's time limit comes first. */
#define WAIT_MS 3600000

static struct kmemblk_borrower *b;
static size_t zone;
static unsigned char *zones[ZONES];
static size_t held;
static uint64_t asked;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define MUST(condition) CHECK(condition, "%s", kmemblk_error())

static void *borrow(void *at)
{
	void *memory;

	MUST(kmemblk_borrower_borrow(b, at, WAIT_MS, &memory) == 0);
	MUST((uintptr_t)memory % zone == 0 && (!at || memory == at));
	for (size_t i = 0; i < zone / sizeof(uint64_t); i++)
		MUST(((uint64_t *)memory)[i] == 0);
	return memory;
}

static bool is_mapped(void *memory)
{
	unsigned char resident;

	return mincore(memory, 4096, &resident) == 0;
}

static void test_try(void)
{
	void *memory;

	MUST(kmemblk_borrower_borrow(b, NULL, 0, &memory) == 0);
	kmemblk_borrower_close(b);
}

static void test_zones(void)
{
	unsigned char *range, *some;
	void *memory;
	int status;

	MUST(zone >= 4096 && !(zone & (zone - 1)));
	for (size_t i = 0; i < ZONES; i++) {
		zones[i] = borrow(NULL);
		memset(zones[i], (int)i + 1, zone);
	}
	/* Each is its own, and the rest stay when one goes. */
	for (size_t i = 0; i < ZONES; i++) {
		some = zones[i * 7 % ZONES];
		MUST(some[0] == i * 7 % ZONES + 1 && some[zone - 1] == some[0]);
		MUST(kmemblk_borrower_return(b, some, i & 1) == 0);
		MUST(is_mapped(some) == (i & 1));
		MUST(kmemblk_borrower_return(b, some, 0) == -EINVAL);
	}

	range = mmap(NULL, 4 * zone, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(range != MAP_FAILED);
	range += -(uintptr_t)range & (zone - 1);
	some = borrow(range + zone);
	MUST(borrow(range) == range);
	memset(range, 1, 2 * zone);
	MUST(kmemblk_borrower_borrow(b, range, 0, &memory) == -EINVAL && !memory);
	MUST(kmemblk_borrower_borrow(b, range + 4096, 0, &memory) == -EINVAL);
	MUST(kmemblk_borrower_return(b, range + 4096, 0) == -EINVAL);
	/* A place that was kept is inaccessible, and can be borrowed into. */
	MUST(kmemblk_borrower_return(b, some, 1) == 0);
	if (!fork()) {
		*some = 1;
		_exit(0);
	}
	MUST(wait(&status) > 0 && WIFSIGNALED(status));
	MUST(borrow(some) == some);

	/* A child has the memory, and no connection. */
	if (!fork()) {
		*range = 99;
		_exit(kmemblk_borrower_borrow(b, NULL, 0, &memory) == -ENOTCONN ? 0 : 1);
	}
	MUST(wait(&status) > 0 && !status && *range == 99);
	kmemblk_borrower_close(b);
	MUST(*range == 99);
}

static void test_closed(void)
{
	unsigned char *memory = borrow(NULL);
	void *more;

	memset(memory, 5, zone);
	closefrom(3);
	/* What has the numbers now is not the connection. */
	for (int i = 0; i < 800; i++)
		MUST(dup(STDERR_FILENO) > 0);
	while (kmemblk_borrower_borrow(b, NULL, WAIT_MS, &more) == -ENOTCONN)
		usleep(100000);
	MUST(more && memory[0] == 5 && memory[zone - 1] == 5);
	MUST(kmemblk_borrower_return(b, more, 0) == 0);
	MUST(kmemblk_borrower_return(b, memory, 0) == 0);
	kmemblk_borrower_close(b);
}

static void ready(void)
{
	printf("ready\n");
	fflush(stdout);
}

/* The kernel refuses mappings of a process that locks what it maps, beyond its limit. */
static void test_unmapped(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	struct rlimit little = { 4096, 4096 };
	unsigned char *range = mmap(NULL, 2 * zone, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *memory;

	MUST(range != MAP_FAILED);
	range += -(uintptr_t)range & (zone - 1);
	/* The limit is not for root. */
	MUST(syscall(SYS_capget, &header, data) == 0);
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	MUST(syscall(SYS_capset, &header, data) == 0);
	MUST(setrlimit(RLIMIT_MEMLOCK, &little) == 0);
	MUST(mlockall(MCL_FUTURE) == 0);
	for (int i = 0; i < 5; i++)
		MUST(kmemblk_borrower_borrow(b, range, WAIT_MS, &memory) == -EAGAIN);
	MUST(strstr(kmemblk_error(), "map") != NULL);
	ready();
	MUST(getchar() == EOF);
	kmemblk_borrower_close(b);
}

static void recall(void *opaque, size_t length)
{
	MUST(opaque == &held);
	pthread_mutex_lock(&lock);
	asked += length;
	for (size_t got = 0; held && got < length; got += zone)
		MUST(kmemblk_borrower_return(b, zones[--held], 0) == 0);
	pthread_mutex_unlock(&lock);
}

static volatile unsigned char *no_access;

/* On the library's thread. */
static void fault(void *opaque, size_t length)
{
	(void)opaque;
	(void)length;
	*no_access = 1;
}

static void on_fault(int signal)
{
	_exit(signal == SIGSEGV ? 42 : 1);
}

static void test_hold(size_t n)
{
	void *memory;

	while (held < n && held < ZONES) {
		memory = borrow(NULL);
		pthread_mutex_lock(&lock);
		zones[held++] = memory;
		memset(memory, 7, zone);
		pthread_mutex_unlock(&lock);
	}
	ready();
	while (getchar() != EOF)
		;
	pthread_mutex_lock(&lock);
	printf("%ju %zu\n", (uintmax_t)asked, held);
	pthread_mutex_unlock(&lock);
	kmemblk_borrower_close(b);
}

static void test_fault(void)
{
	void *memory;

	no_access = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(no_access != MAP_FAILED);
	MUST(signal(SIGSEGV, on_fault) != SIG_ERR);
	while (!kmemblk_borrower_borrow(b, NULL, 100, &memory))
		;
	ready();
	for (;;)
		pause();
}

static void test_away(void)
{
	unsigned char *memory = borrow(NULL);
	void *more;
	int err;

	memset(memory, 5, zone);
	ready();
	while ((err = kmemblk_borrower_borrow(b, NULL, 0, &more)) != -ENOTCONN) {
		MUST(!err && kmemblk_borrower_return(b, more, 0) == 0);
		usleep(50000);
	}
	ready();
	MUST(getchar() != EOF);
	while ((err = kmemblk_borrower_borrow(b, NULL, WAIT_MS, &more)) == -ENOTCONN)
		usleep(100000);
	MUST(!err && memory[0] == 5 && memory[zone - 1] == 5);
	MUST(kmemblk_borrower_return(b, memory, 0) == 0);
	MUST(kmemblk_borrower_return(b, more, 0) == 0);
	ready();
	MUST(getchar() == EOF);
	kmemblk_borrower_close(b);
}

static void test_returned(size_t n)
{
	void **all = calloc(n, sizeof(all[0]));

	MUST(all != NULL);
	for (size_t i = 0; i < n; i++)
		all[i] = borrow(NULL);
	ready();
	MUST(getchar() != EOF);
	for (size_t i = 0; i < n; i++)
		MUST(kmemblk_borrower_return(b, all[i], 0) == 0);
	ready();
	MUST(getchar() == EOF);
	kmemblk_borrower_close(b);
	free(all);
}

int main(int argc, char **argv)
{
	bool hold = argc == 4 && !strcmp(argv[1], "hold"), faults;

	MUST(argc >= 3);
	faults = !strcmp(argv[1], "fault");
	MUST(kmemblk_borrower_connect(argv[2],
				      hold     ? recall
				      : faults ? fault
					       : NULL,
				      &held, &b) == 0);
	zone = kmemblk_borrower_zone_size(b);
	if (hold)
		test_hold((size_t)atoi(argv[3]));
	else if (faults)
		test_fault();
	else if (!strcmp(argv[1], "try"))
		test_try();
	else if (!strcmp(argv[1], "zones"))
		test_zones();
	else if (!strcmp(argv[1], "closed"))
		test_closed();
	else if (!strcmp(argv[1], "unmapped"))
		test_unmapped();
	else if (!strcmp(argv[1], "away"))
		test_away();
	else if (argc == 4 && !strcmp(argv[1], "returned"))
		test_returned((size_t)atoi(argv[3]));
	else
		return 2;
	return 0;
}
