/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calls.c - functions of libc that the program calls through us.
 *
 * fork(): our handlers must be nearest to the fork of all, since others store to the heap.  Those that
 * prepare run in reverse order of registration, so ours are registered before the first that anybody
 * registers.  A malloc's own, which take its locks, are called from within ours, when the helper, which may
 * call malloc, has let go of its turn: jemalloc's, which is started in the middle of the program, and those of
 * the malloc that the program has without us.  The other ways to fork run no handlers, and are taken here.
 *
 * Advice, protection and locks: the heap is a file's memory and behaves as a program expects of its heap,
 * as madvise(2) says of private anonymous memory.
 *
 * A program that wants to have one thread only (unshare(2) of a user namespace), or that forbids system calls
 * to all its threads (seccomp(2)), loses the helper first.
 */
#include "config.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator.h"
#include "calls.h"
#include "heap.h"
#include "helper.h"
#include "libc.h"
#include "watcher.h"

/* ---- fork ----------------------------------------------------------------------------------- */

/* A malloc's. */
struct handlers {
	fork_handler *prepare, *parent, *child;
};

static struct handlers jemallocs, owns;

static void call(fork_handler *handler)
{
	if (handler != NULL)
		handler();
}

/* jemalloc's name for pthread_atfork(): see jemalloc.names. */
int jemalloc_atfork(fork_handler *prepare, fork_handler *parent, fork_handler *child);

int jemalloc_atfork(fork_handler *prepare, fork_handler *parent, fork_handler *child)
{
	jemallocs = (struct handlers){ prepare, parent, child };
	return 0;
}

/* This thread's last fork has failed, though there is a child, which ends at once. */
static __thread bool failed;

static void in_parent(void)
{
	failed = !helper_in_parent();
}

static void fork_prepare(void)
{
	helper_before_fork_first();
	call(owns.prepare);
	call(jemallocs.prepare);
	helper_before_fork_last();
}

static void fork_parent(void)
{
	in_parent();
	call(jemallocs.parent);
	call(owns.parent);
}

static void fork_child(void)
{
	helper_in_child();
	call(jemallocs.child);
	call(owns.child);
}

int __register_atfork(fork_handler *prepare, fork_handler *parent, fork_handler *child,
		      void *object)
{
	static atomic_flag registered = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&registered))
		NEXT(__register_atfork)
	(fork_prepare, fork_parent, fork_child, NULL);
	if (prepare == NULL && parent == NULL && child == NULL)
		return 0;
	if (owns.prepare == NULL && prepare != NULL && allocator_has_code((void *)prepare)) {
		owns = (struct handlers){ prepare, parent, child };
		return 0;
	}
	return NEXT(__register_atfork)(prepare, parent, child, object);
}

void calls_register_fork(void)
{
	__register_atfork(NULL, NULL, NULL, NULL);
}

/* In the parent.  There is no child to speak of when it could not have the heap. */
static pid_t forked(pid_t pid)
{
	if (pid <= 0 || !failed)
		return pid;
	failed = false;
	while (NEXT(waitpid)(pid, NULL, 0) == -1 && errno == EINTR)
		;
	errno = ENOMEM;
	return -1;
}

pid_t fork(void)
{
	return forked(NEXT(fork)());
}

static void before(void)
{
	helper_before_fork_first();
	helper_before_fork_last();
}

static pid_t after(pid_t pid)
{
	int saved = errno;

	if (pid == 0)
		helper_in_child();
	else
		in_parent();
	errno = saved;
	return forked(pid);
}

pid_t _Fork(void)
{
	before();
	return after(NEXT(_Fork)());
}

/* What clone() begins with in a child that shares no memory. */
struct beginning {
	int (*function)(void *opaque);
	void *opaque;
};

static int begin_child(void *opaque)
{
	const struct beginning *beginning = opaque;

	helper_in_child();
	return beginning->function(beginning->opaque);
}

int clone(int (*function)(void *opaque), void *stack, int flags, void *opaque, ...)
{
	struct beginning beginning = { function, opaque };
	va_list more;
	pid_t *parent, *child;
	void *tls;
	int pid;

	va_start(more, opaque);
	parent = va_arg(more, pid_t *);
	tls = va_arg(more, void *);
	child = va_arg(more, pid_t *);
	va_end(more);
	if ((flags & CLONE_VM) || !heap.active)
		return NEXT(clone)(function, stack, flags, opaque, parent, tls, child);
	before();
	/* The child has a copy of this frame, where it looks for it. */
	pid = NEXT(clone)(begin_child, stack, flags, &beginning, parent, tls, child);
	return after(pid);
}

/* ---- one thread only, and filters of system calls ------------------------------------------- */

int unshare(int flags)
{
	if (flags & (CLONE_NEWUSER | CLONE_THREAD | CLONE_VM | CLONE_SIGHAND))
		helper_end(false);
	return NEXT(unshare)(flags);
}

int setns(int fd, int kind)
{
	if (kind == 0 || (kind & (CLONE_NEWUSER | CLONE_NEWNS)))
		helper_end(false);
	return NEXT(setns)(fd, kind);
}

int prctl(int option, ...)
{
	unsigned long argument[4];
	va_list more;

	va_start(more, option);
	for (int i = 0; i < 4; i++)
		argument[i] = va_arg(more, unsigned long);
	va_end(more);
	if (option == PR_SET_SECCOMP)
		helper_end(true);
	return NEXT(prctl)(option, argument[0], argument[1], argument[2], argument[3]);
}

/* By number. */
long syscall(long number, ...)
{
	unsigned long a[6];
	va_list more;

	va_start(more, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(more, unsigned long);
	va_end(more);
	if (number == SYS_seccomp && a[0] != SECCOMP_GET_ACTION_AVAIL)
		helper_end(true);
	if (number == SYS_unshare && (a[0] & CLONE_NEWUSER))
		helper_end(false);
#ifdef SYS_fork
	if (number == SYS_fork && heap.active) {
		before();
		return after((pid_t)NEXT(syscall)(number));
	}
#endif
	/* With a stack of its own a child does not return here. */
	if (number == SYS_clone && heap.active && !(a[0] & CLONE_VM) && a[1] == 0) {
		before();
		return after((pid_t)NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4]));
	}
	return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- threads -------------------------------------------------------------------------------- */

void pthread_exit(void *value)
{
	if (syscall(SYS_gettid) == getpid())
		watcher_start();
	NEXT(pthread_exit)(value);
	__builtin_unreachable();
}

/* ---- memory --------------------------------------------------------------------------------- */

/* To be kept when it is mapped again. */
static void mark(const void *memory, size_t length)
{
	if (heap_has_some(memory, length))
		atomic_store_explicit(&heap.marked, true, memory_order_relaxed);
}

int mprotect(void *memory, size_t length, int protection)
{
	mark(memory, length);
	return NEXT(mprotect)(memory, length, protection);
}

int mlock(const void *memory, size_t length)
{
	mark(memory, length);
	return NEXT(mlock)(memory, length);
}

int mlock2(const void *memory, size_t length, unsigned int flags)
{
	mark(memory, length);
	return NEXT(mlock2)(memory, length, flags);
}

int mlockall(int flags)
{
	if (heap.active)
		atomic_store_explicit(&heap.marked, true, memory_order_relaxed);
	return NEXT(mlockall)(flags);
}

static bool is_whole_pages(const void *memory, size_t length)
{
	return (uintptr_t)memory % HEAP_PAGE == 0 && length <= SIZE_MAX - HEAP_PAGE;
}

static bool populates(const void *memory, int advice)
{
	return NEXT(madvise)((void *)((uintptr_t)memory & ~(uintptr_t)(HEAP_PAGE - 1)), HEAP_PAGE,
			     advice) == 0;
}

/*
 * Of pages that the program has protected, perhaps: those that cannot be stored to become ordinary memory of the
 * same protection.  A kernel before 5.14 does not tell which they are.
 */
static void make_zero_by_page(uint8_t *memory, size_t length)
{
	int here, protection;

	for (uint8_t *end = memory + length; memory < end; memory += HEAP_PAGE) {
		if (populates(memory, MADV_POPULATE_WRITE) ||
		    !populates(&here, MADV_POPULATE_READ)) {
			memset(memory, 0, HEAP_PAGE);
			continue;
		}
		protection = populates(memory, MADV_POPULATE_READ) ? PROT_READ : PROT_NONE;
		mmap(memory, HEAP_PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
}

static void store_zeroes(uint8_t *memory, size_t length)
{
	if (atomic_load_explicit(&heap.marked, memory_order_relaxed))
		make_zero_by_page(memory, length);
	else
		memset(memory, 0, length);
}

/*
 * What the kernel does for private anonymous memory.  Where it is ordinary the kernel does; the kind of
 * slots that the program has in use does not change between that and others.
 */
static void make_zero(uint8_t *memory, size_t length)
{
	while (length > 0) {
		size_t s = (size_t)(memory - heap.base) / HEAP_SLOT;
		size_t rest = (size_t)(heap_slot_at(s + 1) - memory);
		size_t some = length < rest ? length : rest;

		if (heap.slot[s].kind != SLOT_ORDINARY ||
		    NEXT(madvise)(memory, some, MADV_DONTNEED) == -1)
			store_zeroes(memory, some);
		memory += some;
		length -= some;
	}
}

static int advise_heap(void *memory, size_t length, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
		make_zero(memory, (length + HEAP_PAGE - 1) & ~(HEAP_PAGE - 1));
		return 0;
	case MADV_FREE:
		/* It may keep them. */
		return 0;
	case MADV_REMOVE:
		errno = EINVAL;
		return -1;
	case MADV_DONTFORK:
	case MADV_DOFORK:
		/* What children get is decided at the fork: the heap, all of it. */
		return 0;
	default:
		mark(memory, length);
		return NEXT(madvise)(memory, length, advice);
	}
}

int madvise(void *memory, size_t length, int advice)
{
	if (!heap_has(memory) || !is_whole_pages(memory, length))
		return NEXT(madvise)(memory, length, advice);
	return advise_heap(memory, length, advice);
}
