/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload.c - the heap of an unmodified program on borrowed zones: libkmemblk-preload.so.
 *
 * `kmemblk run` puts jemalloc and this library before the program (LD_PRELOAD) and says where the
 * server is in the environment, with its process id: the programs that this one becomes by exec
 * have their heap there too, those that it starts as other processes do not; those that it forks do.  At
 * the start, before main(), the extent hooks of all of jemalloc's arenas are set; what was allocated before
 * stays where it is, which is why the hooks know both kinds of memory.
 *
 * A small program is left alone: it has no thread of ours, and no loan (helper.c).
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

#include "base/error.h"
#include "base/shell.h"
#include "calls.h"
#include "environment.h"
#include "heap.h"
#include "helper.h"
#include "kmemblk.h"

/* ---- hooks ---------------------------------------------------------------------------------- */

/* For an alignment that the heap does not have. */
static void *take_outside(size_t size, size_t alignment, bool *clean)
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
	*clean = true;
	return memory;
}

static void *take(extent_hooks_t *hooks, void *at, size_t size, size_t alignment, bool *zero,
		  bool *commit, unsigned int arena)
{
	bool clean = false;
	void *memory;

	(void)hooks;
	(void)arena;
	if (helper_is_due())
		helper_start();
	if (at != NULL)
		memory = heap_has(at) && heap_take_at(at, size, &clean) ? at : NULL;
	else if (alignment <= HEAP_ALIGNMENT)
		memory = heap_take(size, alignment, &clean);
	else
		memory = take_outside(size, alignment, &clean);
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

/* ---- the start and the end ------------------------------------------------------------------ */

/* Each starts after calls_register_fork(), whose handlers are nearest to the fork, and jemalloc's. */
static int register_fork(void)
{
	return -pthread_atfork(helper_before_fork_first, NULL, NULL);
}

/* A loan that was copied after a fork is the program's own memory. */
static void tell_usage(void)
{
	const size_t *most = heap.most_of_kind;
	double mib = HEAP_SLOT / 1048576.0;

	fprintf(stderr,
		"kmemblk: run: %s, process %ld: at the most %.1f MiB of its heap borrowed, %.1f MiB "
		"ordinary\n",
		program_invocation_short_name, (long)getpid(),
		(double)(most[SLOT_LOAN] > most[SLOT_PRIVATE] ? most[SLOT_LOAN]
							      : most[SLOT_PRIVATE]) *
			mib,
		(double)(most[SLOT_ORDINARY] + most[SLOT_COPIED] + most[SLOT_INHERITED]) * mib);
}

static bool heap_has_memory(void)
{
	bool clean;
	void *memory = heap_take(HEAP_PAGE, HEAP_PAGE, &clean);

	if (memory != NULL)
		heap_give(memory, HEAP_PAGE);
	return memory != NULL;
}

static int begin(const char *socket)
{
	const char *limit = getenv(ENVIRONMENT_LIMIT);
	int rc;

	calls_register_fork();
	rc = heap_init(getenv(ENVIRONMENT_STRICT) != NULL);
	if (rc != 0)
		return fail_errno(-rc, "borrow: %s: no addresses for the heap (see ulimit -v)",
				  socket);
	helper_init(socket, limit != NULL ? strtoull(limit, NULL, 10) : UINT64_MAX);
	rc = register_fork();
	if (rc == 0 && heap.strict)
		rc = helper_start_and_wait();
	if (rc != 0)
		return rc;
	if (heap.strict && !heap_has_memory())
		return fail(ENOMEM,
			    "borrow: %s: no zone is free for the heap: to see what the pages are "
			    "used for, type: kmemblk stat %s",
			    socket, SHELL_WORD(socket));
	rc = set_hooks();
	return rc != 0 ? fail_errno(-rc, "borrow: %s: jemalloc does not take its hooks", socket)
		       : 0;
}

__attribute__((constructor)) static void start(void)
{
	const char *socket = getenv(ENVIRONMENT_SOCKET), *pid = getenv(ENVIRONMENT_PID);
	int rc;

	if (socket == NULL || pid == NULL || strtol(pid, NULL, 10) != (long)getpid())
		return;
	rc = begin(socket);
	if (rc == 0 && getenv(ENVIRONMENT_VERBOSE) != NULL)
		rc = atexit(tell_usage) == 0 ? 0 : fail(ENOMEM, "verbose: out of memory");
	if (rc == 0)
		return;
	fprintf(stderr, "kmemblk: run: %s\n", kmemblk_error());
	if (getenv(ENVIRONMENT_STRICT) != NULL)
		_exit(ENVIRONMENT_FAILED);
}
