/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * protect.c - exchange memory under a running program: move zones, and keep the meaning of fork.
 *
 * Both hold back stores.  Zones are made read-only; a thread that stores into one meanwhile faults
 * into the handler below, waits there until it is over, and tries again.  Loads go on.
 *
 * A move copies one zone to ordinary memory and puts that at the zone's addresses (mremap, which is
 * atomic for all threads), so the zone is free, and the program notices nothing.
 *
 * fork(): a zone is shared memory, which a child would share.  Before the fork all zones are made
 * read-only; the child copies them to ordinary memory at the same addresses and tells the parent by
 * a pipe, and the parent goes on.  If the child dies first, the pipe's end tells.  The thread that
 * forks cannot wait for itself: libc, between our handlers, stores to the heap too.  When it faults
 * in the parent, that zone is moved on the spot, so that the kernel copies it at the fork, or has
 * copied it; when it faults in the child, the child copies everything then.  Without descriptors
 * for a pipe, all zones are moved.
 *
 * Which of both processes this is, a page tells that the kernel wipes in children (of fork, not of
 * vfork, whose child shares the memory).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "heap.h"
#include "libc.h"
#include "protect.h"

static struct {
	/* Odd while stores are held back; a futex. */
	_Atomic uint32_t count;
	/* The thread that forks, while it does; else 0. */
	_Atomic int forker;
	/* Its first byte: 1 here, 0 in a forked child that has not copied yet. */
	_Atomic uint8_t *here;
	int pipe[2];
	/* The program's action for SIGSEGV, and a lock for it that handlers can take. */
	struct sigaction action;
	atomic_flag action_lock;
} protect = { .pipe = { -1, -1 }, .action_lock = ATOMIC_FLAG_INIT };

/* Of this thread: its last fault here, and the count then. */
static __thread uintptr_t last_fault;
static __thread uint32_t last_count;

uint32_t protect_count(void)
{
	return atomic_load(&protect.count);
}

void protect_wait(void)
{
	uint32_t count;

	while ((count = atomic_load(&protect.count)) & 1)
		syscall(SYS_futex, &protect.count, FUTEX_WAIT_PRIVATE, count, NULL, NULL, 0);
}

static void hold_back(void)
{
	atomic_fetch_add(&protect.count, 1);
}

static void let_go(void)
{
	atomic_fetch_add(&protect.count, 1);
	syscall(SYS_futex, &protect.count, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* ---- exchange ------------------------------------------------------------------------------- */

/* Puts a copy of `n` slots of zones, which nobody stores into, in their place. */
static bool replace(size_t s, size_t n)
{
	size_t size = n * heap.zone_size;
	uint8_t *copy;

	copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return false;
	for (size_t i = 0; i < n; i++)
		heap_copy_slot_locked(copy + i * heap.zone_size, s + i);
	if (mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, heap_slot_at(s)) ==
	    MAP_FAILED) {
		munmap(copy, size);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		heap_now_ordinary_locked(s + i);
	return true;
}

static void tell(size_t s)
{
	heap.zones--;
	heap.slot[s].untold = false;
	borrower_gone(heap.borrower, heap_slot_at(s));
}

static bool move(size_t s)
{
	bool moved = false;

	hold_back();
	if (!mprotect(heap_slot_at(s), heap.zone_size, PROT_READ)) {
		moved = replace(s, 1);
		if (!moved)
			mprotect(heap_slot_at(s), heap.zone_size, PROT_READ | PROT_WRITE);
	}
	let_go();
	if (moved)
		tell(s);
	return moved;
}

/* From the end: there the zones are that are likely to become free soon. */
static uint64_t move_zones(uint64_t bytes)
{
	uint64_t moved = 0;

	for (size_t s = heap.top; s-- > 0 && moved < bytes;) {
		if (heap.slot[s].kind == SLOT_ZONE && move(s))
			moved += heap.zone_size;
	}
	return moved;
}

uint64_t protect_move(uint64_t bytes)
{
	uint64_t moved = 0, step;

	/* The program's allocations get their turn between zones. */
	do {
		pthread_mutex_lock(&heap.lock);
		step = move_zones(heap.zone_size);
		pthread_mutex_unlock(&heap.lock);
		moved += step;
	} while (step && moved < bytes);
	return moved;
}

/* ---- fork ----------------------------------------------------------------------------------- */

/* The next run of zones at or after `*s`; its length, 0 at the end. */
static size_t next_zones(size_t *s)
{
	size_t n = 0;

	while (*s < heap.top && heap.slot[*s].kind != SLOT_ZONE)
		(*s)++;
	while (*s + n < heap.top && heap.slot[*s + n].kind == SLOT_ZONE)
		n++;
	return n;
}

static void make_zones(int protection)
{
	size_t n;

	for (size_t s = 0; (n = next_zones(&s)); s += n)
		mprotect(heap_slot_at(s), n * heap.zone_size, protection);
}

void protect_before_fork(void)
{
	if (!heap.active)
		return;
	pthread_mutex_lock(&heap.lock);
	if (heap.borrower == NULL)
		return;
	if (heap.zones && pipe2(protect.pipe, O_CLOEXEC)) {
		protect.pipe[0] = protect.pipe[1] = -1;
		move_zones(UINT64_MAX);
	}
	connection_before_fork(&heap.borrower->connection);
	atomic_store(&protect.forker, (int)syscall(SYS_gettid));
	hold_back();
	make_zones(PROT_READ);
}

void protect_in_parent(void)
{
	char byte;

	if (!heap.active)
		return;
	if (heap.borrower != NULL) {
		if (protect.pipe[0] >= 0) {
			close(protect.pipe[1]);
			while (read(protect.pipe[0], &byte, 1) < 0 && errno == EINTR)
				;
			close(protect.pipe[0]);
			protect.pipe[0] = protect.pipe[1] = -1;
		}
		make_zones(PROT_READ | PROT_WRITE);
		atomic_store(&protect.forker, 0);
		let_go();
		connection_after_fork(&heap.borrower->connection);
		for (size_t s = 0; s < heap.top; s++) {
			if (heap.slot[s].untold)
				tell(s);
		}
	}
	pthread_mutex_unlock(&heap.lock);
}

/* In the child.  Also called by the handler of faults: nothing but system calls. */
static void copy_all(void)
{
	static const char message[] = "kmemblk: no memory for a copy of the heap after fork\n";
	size_t n;

	for (size_t s = 0; (n = next_zones(&s)); s += n) {
		if (!replace(s, n)) {
			/* What is left is the parent's memory, which this process must not touch. */
			ssize_t told = write(STDERR_FILENO, message, sizeof(message) - 1);

			(void)told;
			_exit(127);
		}
	}
	atomic_store(protect.here, 1);
	if (protect.pipe[0] < 0)
		return;
	close(protect.pipe[0]);
	/* Closing tells as much. */
	close(protect.pipe[1]);
	protect.pipe[0] = protect.pipe[1] = -1;
}

void protect_in_child(void)
{
	if (!heap.active)
		return;
	if (heap.borrower != NULL) {
		if (!atomic_load(protect.here))
			copy_all();
		connection_in_child(&heap.borrower->connection);
		heap.borrower = NULL;
		heap.zones = 0;
		atomic_store(&protect.forker, 0);
		let_go();
	}
	pthread_mutex_init(&heap.lock, NULL);
}

/* ---- faults --------------------------------------------------------------------------------- */

/* The fault was a store that was held back, and can be tried again now. */
static bool was_held_back(const void *address)
{
	uint32_t count = atomic_load(&protect.count);

	if (!heap_has(address))
		return false;
	if (count & 1) {
		size_t s = heap_slot_of(address);

		if (heap.slot[s].kind == SLOT_EMPTY)
			return false;
		if (!atomic_load(protect.here)) {
			copy_all();
			return true;
		}
		if (atomic_load(&protect.forker) == (int)syscall(SYS_gettid)) {
			if (heap.slot[s].kind != SLOT_ZONE || !replace(s, 1))
				return false;
			heap.slot[s].untold = true;
			return true;
		}
		protect_wait();
		return true;
	}
	/* Over since; unless nothing has changed since the last fault here. */
	if (heap.slot[heap_slot_of(address)].kind == SLOT_EMPTY ||
	    (last_fault == (uintptr_t)address && last_count == count))
		return false;
	last_fault = (uintptr_t)address;
	last_count = count;
	return true;
}

static void lock_action(sigset_t *saved)
{
	sigset_t all;

	sigfillset(&all);
	libc_sigmask(SIG_BLOCK, &all, saved);
	while (atomic_flag_test_and_set(&protect.action_lock))
		;
}

static void unlock_action(const sigset_t *saved)
{
	atomic_flag_clear(&protect.action_lock);
	libc_sigmask(SIG_SETMASK, saved, NULL);
}

void protect_action(const struct sigaction *action, struct sigaction *old)
{
	struct sigaction before;
	sigset_t saved;

	lock_action(&saved);
	before = protect.action;
	if (action != NULL)
		protect.action = *action;
	unlock_action(&saved);
	if (old != NULL)
		*old = before;
}

/* What would have happened to the signal without us. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
	static const struct sigaction by_default = { .sa_handler = SIG_DFL };
	struct sigaction action;
	sigset_t mask;

	protect_action(NULL, &action);
	if (action.sa_flags & SA_RESETHAND)
		protect_action(&by_default, NULL);
	if (!(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (!(action.sa_flags & SA_SIGINFO) &&
	    (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)) {
		/* A fault happens again; what somebody sent does not. */
		libc_sigaction(signal, &by_default, NULL);
		if (info->si_code <= 0)
			syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
		return;
	}
	mask = action.sa_mask;
	if (!(action.sa_flags & SA_NODEFER))
		sigaddset(&mask, signal);
	libc_sigmask(SIG_BLOCK, &mask, NULL);
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(signal, info, context);
	else
		action.sa_handler(signal);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	if (info->si_code != SEGV_ACCERR || !was_held_back(info->si_addr))
		pass_on(signal, info, context);
	errno = saved;
}

int protect_init(void)
{
	struct sigaction action = { .sa_sigaction = on_fault,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	sigset_t segv;
	void *page;

	page = mmap(NULL, HEAP_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || madvise(page, HEAP_PAGE, MADV_WIPEONFORK))
		return -errno;
	protect.here = page;
	atomic_store(protect.here, 1);
	sigemptyset(&action.sa_mask);
	if (libc_sigaction(SIGSEGV, &action, &protect.action))
		return -errno;
	/* Whoever started the program may have blocked it. */
	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	return -libc_sigmask(SIG_UNBLOCK, &segv, NULL);
}
