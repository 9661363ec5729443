/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.c - the process's SIGBUS handler.  See guard.h.
 *
 * The handler is installed once and stays: removing it could not be done safely while another
 * part of the process may have chained to it.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

#include "base/error.h"
#include "media/guard.h"

struct guard {
	sigjmp_buf jump;
	const uint8_t *base;	  /* guarded range */
	size_t size;		  /* its bytes */
	volatile size_t fault_at; /* after a fault: where in the range ... */
	volatile int fault_code;  /* ... and si_code */
};

/* The running thread's guard, NULL for none.  initial-exec: safe to read in a signal handler. */
static __thread struct guard *volatile current __attribute__((tls_model("initial-exec")));

/* Whether the running thread has had SIGBUS unblocked. */
static __thread bool unblocked __attribute__((tls_model("initial-exec")));

static struct sigaction previous;

/* The default action: the process ends. */
static void end(int sig, const siginfo_t *info)
{
	/*
	 * Memory has failed that nobody has touched (the kernel says so beforehand where
	 * vm.memory_failure_early_kill is set).  No action is needed: whoever touches it meets a
	 * fault of his own, and one in the mapping is then an error and not the end.
	 */
	if (info->si_code == BUS_MCEERR_AO)
		return;
	signal(sig, SIG_DFL);
	/* A fault happens again when the handler returns; a signal that was sent does not. */
	if (info->si_code <= 0)
		raise(sig);
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO)
		previous.sa_sigaction(sig, info, context);
	else if (previous.sa_handler == SIG_DFL)
		end(sig, info);
	else if (previous.sa_handler != SIG_IGN)
		previous.sa_handler(sig);
	else if (info->si_code > 0)
		/* The kernel does not let a real fault be ignored; nor can we. */
		end(sig, info);
}

/* The signal is the running instruction's own fault, and si_addr where it met it. */
static bool is_own_fault(const siginfo_t *info)
{
	return info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR ||
	       info->si_code == BUS_MCEERR_AR;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	struct guard *guard = current;
	const uint8_t *address = info->si_addr;

	/* A signal that is no fault of this instruction may come with a lock held: no jump then. */
	if (guard != NULL && is_own_fault(info) && address >= guard->base &&
	    address < guard->base + guard->size) {
		guard->fault_at = (size_t)(address - guard->base);
		guard->fault_code = info->si_code;
		current = NULL;
		siglongjmp(guard->jump, 1);
	}
	pass_on(sig, info, context);
}

static int install_result;

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus };

	/*
	 * SA_NODEFER: the handler leaves by siglongjmp without restoring the mask, and with SIGBUS
	 * still blocked the next fault would kill the process.
	 */
	action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &previous) == -1)
		install_result = errno;
}

int guard_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
	if (install_result != 0)
		return fail_errno(install_result, "install handler: SIGBUS");
	return 0;
}

static __attribute__((noinline)) void unblock(void)
{
	sigset_t sigbus;

	sigemptyset(&sigbus);
	sigaddset(&sigbus, SIGBUS);
	pthread_sigmask(SIG_UNBLOCK, &sigbus, NULL);
	unblocked = true;
}

bool guard_run(const struct pm *pm, void (*access)(void *opaque), void *opaque, struct fault *fault)
{
	struct guard guard;

	if (__builtin_expect(!unblocked, 0))
		unblock();
	guard.base = pm->base;
	guard.size = pm->size;
	/*
	 * The signal mask is not saved (the handler runs with SA_NODEFER, so there is nothing to
	 * restore): saving it would cost a system call at every read.
	 */
	if (sigsetjmp(guard.jump, 0) != 0) {
		fault->page = guard.fault_at >> LAYOUT_PAGE_SHIFT;
		fault->code = guard.fault_code;
		return false;
	}
	current = &guard;
	access(opaque);
	current = NULL;
	return true;
}

struct copy {
	const struct pm *pm;
	void *dst;
	const void *src;
	size_t len;
	enum pm_order order;
	int rc;
};

static void read_access(void *opaque)
{
	struct copy *copy = opaque;

	pm_read(copy->dst, copy->src, copy->len);
}

bool guard_read(const struct pm *pm, void *dst, const void *src, size_t len)
{
	struct copy copy = { .dst = dst, .src = src, .len = len };
	struct fault fault;

	return guard_run(pm, read_access, &copy, &fault);
}

static void write_access(void *opaque)
{
	struct copy *copy = opaque;

	if (copy->src == NULL)
		copy->rc = pm_zero(copy->pm, copy->dst, copy->len, copy->order);
	else
		copy->rc = pm_copy(copy->pm, copy->dst, copy->src, copy->len, copy->order);
}

int guard_write(const struct device *device, void *dst, const void *src, size_t len,
		enum pm_order order, bool *unflushed)
{
	struct copy copy = { &device->pm, dst, src, len, order, 0 };
	struct fault fault;

	bool whole = guard_run(&device->pm, write_access, &copy, &fault);

	if (unflushed != NULL)
		*unflushed = whole && copy.rc != 0;
	return whole ? copy.rc : fault_error(device, &fault);
}
