/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload.c - the heap of an unmodified program on borrowed zones: libkmemblk-preload.so.
 *
 * `kmemblk run` puts jemalloc and this library before the program (LD_PRELOAD) and says where the
 * server is in the environment, with its process id: the programs that this one becomes by exec
 * have their heap there too, those that it starts as other processes do not.  At the start, before
 * main(), the extent hooks of all of jemalloc's arenas are set; what was allocated before stays
 * where it is, which is why the hooks know both kinds of memory.
 *
 * One thread, the helper, wakes each second: it has jemalloc give up what it has kept for long
 * enough, and gives zones back that are wholly free.  When the disk wants memory it gives back all
 * that is free and then, unless strict, moves zones that are in use to ordinary memory.  A process whose
 * main thread has ended by pthread_exit() lives until its last thread ends, and does not know ours: the
 * helper ends it then.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <jemalloc/jemalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calls.h"
#include "environment.h"
#include "base/error.h"
#include "base/shell.h"
#include "heap.h"
#include "protect.h"
#include "base/thread.h"

#define TICK_MS	     1000
#define IDLE_ROUNDS  2
#define HELPER_STACK (256 * 1024)

/* "arena.<every arena>.decay" and so on. */
#define EVERY_ARENA(what) "arena.4096." what

static struct kmemblk_borrower borrower;

/* ---- hooks ---------------------------------------------------------------------------------- */

/* For an alignment that the heap does not have. */
static void *take_outside(size_t size, size_t alignment)
{
	uint8_t *range, *memory;

	if (heap.strict)
		return NULL;
	range = mmap(NULL, size + alignment, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED)
		return NULL;
	memory = range + (-(uintptr_t)range & (alignment - 1));
	if (memory > range)
		munmap(range, (size_t)(memory - range));
	munmap(memory + size, alignment - (size_t)(memory - range));
	return memory;
}

static void *take(extent_hooks_t *hooks, void *at, size_t size, size_t alignment, bool *zero,
		  bool *commit, unsigned int arena)
{
	bool clean = false;
	void *memory;

	(void)hooks;
	(void)arena;
	/* Growing in place is a convenience. */
	if (at != NULL)
		return NULL;
	clean = alignment > HEAP_ALIGNMENT;
	memory = clean ? take_outside(size, alignment) : heap_take(size, alignment, &clean);
	if (memory == NULL)
		return NULL;
	if (*zero && !clean)
		memset(memory, 0, size);
	*zero = *zero || clean;
	*commit = true;
	return memory;
}

static bool give(extent_hooks_t *hooks, void *memory, size_t size, bool committed,
		 unsigned int arena)
{
	(void)hooks;
	(void)committed;
	(void)arena;
	if (!heap_has(memory))
		return munmap(memory, size);
	heap_give(memory, size);
	return false;
}

static void destroy(extent_hooks_t *hooks, void *memory, size_t size, bool committed,
		    unsigned int arena)
{
	give(hooks, memory, size, committed, arena);
}

/* A zone's storage is the device's: there is nothing to give up but the whole of it. */
static bool purge(extent_hooks_t *hooks, void *memory, size_t size, size_t offset, size_t length,
		  unsigned int arena)
{
	(void)hooks;
	(void)size;
	(void)arena;
	if (heap_has(memory))
		return true;
	return madvise((uint8_t *)memory + offset, length, MADV_DONTNEED);
}

static bool split(extent_hooks_t *hooks, void *memory, size_t size, size_t a, size_t b,
		  bool committed, unsigned int arena)
{
	(void)hooks;
	(void)memory;
	(void)size;
	(void)a;
	(void)b;
	(void)committed;
	(void)arena;
	return false;
}

static bool merge(extent_hooks_t *hooks, void *a, size_t a_size, void *b, size_t b_size,
		  bool committed, unsigned int arena)
{
	(void)hooks;
	(void)a_size;
	(void)b_size;
	(void)committed;
	(void)arena;
	return heap_has(a) != heap_has(b);
}

static extent_hooks_t hooks = {
	.alloc = take,
	.dalloc = give,
	.destroy = destroy,
	.purge_forced = purge,
	.split = split,
	.merge = merge,
};

static int set_hooks(void)
{
	extent_hooks_t *ours = &hooks;
	unsigned int arenas;
	size_t size = sizeof(arenas);
	char name[64];
	int err;

	err = mallctl("arenas.narenas", &arenas, &size, NULL, 0);
	for (unsigned int i = 0; err == 0 && i < arenas; i++) {
		snprintf(name, sizeof(name), "arena.%u.extent_hooks", i);
		err = mallctl(name, NULL, NULL, &ours, sizeof(ours));
	}
	return -err;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* This thread and the borrower's receiver, and the main thread, of which something is left till the end. */
#define OWN_THREADS 3

/*
 * True when the program has only our threads left: its main thread has ended by pthread_exit(), and all
 * others as well.  A folder has a link for each folder in it, and "." and "..".
 */
static bool program_has_ended(void)
{
	char path[64], text[128], *state;
	struct stat st;
	ssize_t n;
	int fd;

	if (stat("/proc/self/task", &st) != 0 || st.st_nlink != 2 + OWN_THREADS)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", (long)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* "PID (NAME) Z ..."; a name may have parentheses as well. */
	state = strrchr(text, ')');
	return state != NULL && strncmp(state, ") Z", 3) == 0;
}

/* ---- the helper ----------------------------------------------------------------------------- */

static void *help(void *opaque)
{
	uint64_t wanted, returned;

	(void)opaque;
	for (;;) {
		wanted = connection_wanted(&borrower.connection, TICK_MS);
		if (wanted == 0) {
			if (program_has_ended())
				exit(0);
			mallctl(EVERY_ARENA("decay"), NULL, NULL, NULL, 0);
			heap_trim(IDLE_ROUNDS);
			continue;
		}
		heap_pause();
		mallctl(EVERY_ARENA("purge"), NULL, NULL, NULL, 0);
		returned = heap_trim(0);
		if (returned < wanted && !heap.strict)
			returned += protect_move(wanted - returned);
		connection_answer(&borrower.connection, returned);
	}
	return NULL;
}

static int start_helper(void)
{
	pthread_t thread;
	int rc = thread_start(&thread, HELPER_STACK, help, NULL);

	if (rc != 0)
		return thread_fail(rc, "borrow", getenv(ENVIRONMENT_SOCKET), "helper");
	pthread_detach(thread);
	return 0;
}

/* ---- the start ------------------------------------------------------------------------------ */

static uint64_t limit_of(const char *text)
{
	uint64_t limit = text != NULL ? strtoull(text, NULL, 10) : UINT64_MAX;

	return limit < borrower.connection.limit ? limit : borrower.connection.limit;
}

static int begin(const char *socket)
{
	uint64_t limit;
	int rc;

	calls_register_fork();
	rc = borrower_init(&borrower, socket);
	if (rc != 0)
		return rc;
	limit = limit_of(getenv(ENVIRONMENT_LIMIT));
	if (limit < borrower.connection.zone_size)
		return fail(EINVAL,
			    "borrow: %s: the limit of %llu bytes is less than a zone, which has "
			    "%zu: raise --limit, or lend-limit= of the server",
			    socket, (unsigned long long)limit, borrower.connection.zone_size);
	rc = heap_init(&borrower, limit, getenv(ENVIRONMENT_STRICT) != NULL);
	if (rc != 0)
		return fail_errno(-rc, "borrow: %s: no addresses for the heap (see ulimit -v)",
				  socket);
	rc = protect_init();
	if (rc != 0)
		return fail_errno(-rc, "borrow: %s: cannot watch for faults", socket);
	rc = set_hooks();
	/* What jemalloc says of an arena that gets no memory. */
	if (rc == -EFAULT)
		return fail(-rc,
			    "borrow: %s: no zone is free for the heap: to see what the pages are "
			    "used for, type: kmemblk stat %s",
			    socket, SHELL_WORD(socket));
	if (rc != 0)
		return fail_errno(-rc, "borrow: %s: jemalloc does not take its hooks", socket);
	return start_helper();
}

__attribute__((constructor)) static void start(void)
{
	const char *socket = getenv(ENVIRONMENT_SOCKET), *pid = getenv(ENVIRONMENT_PID);
	int rc;

	if (socket == NULL || pid == NULL || strtol(pid, NULL, 10) != (long)getpid())
		return;
	rc = begin(socket);
	if (rc == 0)
		return;
	fprintf(stderr, "kmemblk: run: %s\n", kmemblk_error());
	if (getenv(ENVIRONMENT_STRICT) != NULL)
		_exit(ENVIRONMENT_FAILED);
}
