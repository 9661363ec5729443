/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * calls.c - functions of libc that the program calls through us.
 *
 * Signals: a fault into a page whose stores are held back must reach our handler, so the program's
 * own action for SIGSEGV is kept aside and used by it for other faults, and SIGSEGV is never
 * blocked.  (A blocked one would not wait: the kernel ends a process that faults meanwhile.)
 *
 * System calls that store into memory do not fault, they fail with EFAULT.  The usual ones are made
 * again once stores are let go; those below have taken nothing when they fail so, but that a
 * datagram is lost, as on the network.
 *
 * fork: our handlers must be nearest to the fork of all, since others (jemalloc's take its locks)
 * store to the heap.  Those that prepare run in reverse order of registration, so ours are
 * registered before the first that anybody registers.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "calls.h"
#include "heap.h"
#include "libc.h"
#include "protect.h"

/* ---- fork ----------------------------------------------------------------------------------- */

typedef void handler_fn(void);

int __register_atfork(handler_fn *prepare, handler_fn *parent, handler_fn *child, void *object);

int __register_atfork(handler_fn *prepare, handler_fn *parent, handler_fn *child, void *object)
{
	static atomic_flag registered = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&registered))
		NEXT(__register_atfork)
	(protect_before_fork, protect_in_parent, protect_in_child, NULL);
	if (prepare == NULL && parent == NULL && child == NULL)
		return 0;
	return NEXT(__register_atfork)(prepare, parent, child, object);
}

void calls_register_fork(void)
{
	__register_atfork(NULL, NULL, NULL, NULL);
}

/* ---- signals -------------------------------------------------------------------------------- */

int sigaction(int signal, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction changed;

	if (!heap.active)
		return NEXT(sigaction)(signal, action, old);
	if (signal == SIGSEGV) {
		protect_action(action, old);
		return 0;
	}
	if (action != NULL) {
		changed = *action;
		sigdelset(&changed.sa_mask, SIGSEGV);
		action = &changed;
	}
	return NEXT(sigaction)(signal, action, old);
}

__sighandler_t signal(int number, __sighandler_t handler)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART }, old;

	if (!heap.active || number != SIGSEGV)
		return NEXT(signal)(number, handler);
	sigemptyset(&action.sa_mask);
	protect_action(&action, &old);
	return old.sa_handler;
}

/* The set without SIGSEGV, in `changed`, unless it is to be unblocked. */
static const sigset_t *without_fault(int how, const sigset_t *set, sigset_t *changed)
{
	if (!heap.active || set == NULL || how == SIG_UNBLOCK)
		return set;
	*changed = *set;
	sigdelset(changed, SIGSEGV);
	return changed;
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t changed;

	return NEXT(pthread_sigmask)(how, without_fault(how, set, &changed), old);
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t changed;

	return NEXT(sigprocmask)(how, without_fault(how, set, &changed), old);
}

/* ---- system calls that store ---------------------------------------------------------------- */

/* The call failed; it is to be made again. */
static bool again(uint32_t *count)
{
	uint32_t before = *count;

	if (errno != EFAULT)
		return false;
	*count = protect_count();
	if (before == *count && !(before & 1))
		return false;
	protect_wait();
	return true;
}

#define RETRIED(type, name, parameters, ...)                                                       \
	type name parameters                                                                       \
	{                                                                                          \
		uint32_t count = protect_count();                                                  \
		type result;                                                                       \
                                                                                                   \
		do {                                                                               \
			result = NEXT(name)(__VA_ARGS__);                                          \
		} while (result < 0 && again(&count));                                             \
		return result;                                                                     \
	}

RETRIED(ssize_t, read, (int fd, void *to, size_t n), fd, to, n)
RETRIED(ssize_t, pread, (int fd, void *to, size_t n, off_t at), fd, to, n, at)
RETRIED(ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), fd, to, n, at)
RETRIED(ssize_t, readv, (int fd, const struct iovec *to, int n), fd, to, n)
RETRIED(ssize_t, preadv, (int fd, const struct iovec *to, int n, off_t at), fd, to, n, at)
RETRIED(ssize_t, preadv64, (int fd, const struct iovec *to, int n, off64_t at), fd, to, n, at)
RETRIED(ssize_t, recv, (int fd, void *to, size_t n, int flags), fd, to, n, flags)
RETRIED(ssize_t, recvfrom,
	(int fd, void *to, size_t n, int flags, struct sockaddr *from, socklen_t *length), fd, to,
	n, flags, from, length)
RETRIED(ssize_t, recvmsg, (int fd, struct msghdr *to, int flags), fd, to, flags)
RETRIED(int, epoll_wait, (int fd, struct epoll_event *to, int n, int ms), fd, to, n, ms)
RETRIED(int, epoll_pwait, (int fd, struct epoll_event *to, int n, int ms, const sigset_t *mask), fd,
	to, n, ms, mask)
RETRIED(int, poll, (struct pollfd * fds, nfds_t n, int ms), fds, n, ms)
RETRIED(int, ppoll,
	(struct pollfd * fds, nfds_t n, const struct timespec *time, const sigset_t *mask), fds, n,
	time, mask)
