/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload.c - the heap of an unmodified program on borrowed zones: libkmemblk-preload.so.
 *
 * `kmemblk run` puts this library before the program (LD_PRELOAD) and says where the
 * server is in the environment, with its process id: the programs that this one becomes by exec
 * have their heap there too, those that it starts as other processes do not; those that it forks do.
 *
 * A small program is left alone: it has no thread of ours and no loan (helper.c), and the malloc that it has
 * without us (allocator.c).
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "allocator.h"
#include "base/error.h"
#include "base/shell.h"
#include "calls.h"
#include "environment.h"
#include "heap.h"
#include "helper.h"
#include "kmemblk.h"

/* ---- the start and the end ------------------------------------------------------------------ */

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
		(double)(most[SLOT_ORDINARY] + most[SLOT_COPIED] + most[SLOT_INHERITED]) * mib +
			(double)allocator_most() / 1048576.0);
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
	helper_init(socket, limit != NULL ? strtoull(limit, NULL, 10) : UINT64_MAX,
		    allocator_exchange);
	rc = allocator_init();
	if (rc == 0 && heap.strict)
		rc = helper_start_and_wait();
	if (rc == 0 && heap.strict && !heap_has_memory())
		return fail(ENOMEM,
			    "borrow: %s: no zone is free for the heap: to see what the pages are "
			    "used for, type: kmemblk stat %s",
			    socket, SHELL_WORD(socket));
	return rc;
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
