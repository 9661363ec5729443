/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * grace.c - read-side sections on liburcu, flavour memb.
 *
 * Entering and leaving write only to the thread's own variables, without atomic instructions; the
 * waiting side pays, with the membarrier system call.  A thread is registered at its first section
 * and unregistered when it ends, by a thread-specific key, so callers need not know.  Where no key
 * or no memory for it can be had, the thread registers around each section instead, which is slow
 * and right; and where the program, a user of liburcu too, has registered the thread, that is
 * looked at anew at each section, since the program may unregister it at any time.
 */
#include "config.h"

#include <pthread.h>
#include <stdbool.h>

#include <urcu/static/urcu-common.h>
#include <urcu/urcu-memb.h>

/*
 * The thread's variable in liburcu, once it is registered; else NULL.  Its address is kept since
 * finding it takes a call: it cannot be initial-exec, as this pointer is, for glibc has no room left
 * for it in a program that loads the library at run time, as nbdkit does.
 */
static __thread struct urcu_reader *reader __attribute__((tls_model("initial-exec")));

/* Without one: whether the end of the section at hand unregisters the thread. */
static __thread bool unregisters __attribute__((tls_model("initial-exec")));

/*
 * The read side inline: two of liburcu's functions of under ten lines, which it offers to code of
 * any licence.  A call of each would take as long as what it does.  They get at the thread's
 * variable by the pointer.
 */
#undef URCU_TLS
#define URCU_TLS(name) (*reader)
#include <urcu/static/urcu-memb.h>

#include "pages/grace.h"

/*
 * Debian's liburcu is not built for ThreadSanitizer, which therefore does not see that a grace
 * period orders sections before it against what comes after.  These two say so: the end of every
 * section is a release, the end of a grace period an acquire.
 */
#if defined(__SANITIZE_THREAD__)
#define GRACE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GRACE_TSAN 1
#endif
#endif
#ifdef GRACE_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static char tsan_object;
#define TSAN_RELEASE() __tsan_release(&tsan_object)
#define TSAN_ACQUIRE() __tsan_acquire(&tsan_object)
/* Inline, liburcu's own accesses would be looked at, whose other side it cannot see. */
#define read_lock()   urcu_memb_read_lock()
#define read_unlock() urcu_memb_read_unlock()
#else
#define read_lock()    _urcu_memb_read_lock()
#define read_unlock()  _urcu_memb_read_unlock()
#define TSAN_RELEASE() ((void)0)
#define TSAN_ACQUIRE() ((void)0)
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_made;

static void thread_ends(void *value)
{
	(void)value;
	/* Another key's destructor may still read: let it register anew. */
	reader = NULL;
	urcu_memb_unregister_thread();
}

static void make_key(void)
{
	key_made = pthread_key_create(&key, thread_ends) == 0;
}

/* A thread's first section; every one where there is no key, or where the program registers. */
static __attribute__((noinline)) void enter_slowly(void)
{
	pthread_once(&once, make_key);
	unregisters = false;
	/* Registering twice would end the program. */
	if (!urcu_memb_reader.registered) {
		urcu_memb_register_thread();
		/* Any value but NULL makes the key's destructor run. */
		if (key_made && pthread_setspecific(key, &key) == 0)
			reader = &urcu_memb_reader;
		else
			unregisters = true;
	}
	urcu_memb_read_lock();
}

static __attribute__((noinline)) void leave_slowly(void)
{
	urcu_memb_read_unlock();
	if (unregisters)
		urcu_memb_unregister_thread();
}

void grace_enter(void)
{
	if (__builtin_expect(reader != NULL, 1))
		read_lock();
	else
		enter_slowly();
}

void grace_leave(void)
{
	TSAN_RELEASE();
	if (__builtin_expect(reader != NULL, 1))
		read_unlock();
	else
		leave_slowly();
}

void grace_wait(void)
{
	/*
	 * Orders: every section that may have loaded an entry before the caller changed it, before
	 * whatever the caller does next.  Without it a page could be refilled under a reader.
	 * liburcu gives full barriers on both sides.
	 */
	urcu_memb_synchronize_rcu();
	TSAN_ACQUIRE();
}
