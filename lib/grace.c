/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * grace.c - read-side sections on liburcu, flavour memb.
 *
 * Entering and leaving write only to the thread's own variables, without atomic instructions; the
 * waiting side pays, with the membarrier system call.  A thread is registered at its first section
 * and unregistered when it ends, by a thread-specific key, so callers need not know.  Where no key
 * or no memory for it can be had, the thread registers around each section instead, which is slow
 * and right.
 */
#include "config.h"

#include <pthread.h>
#include <stdbool.h>

#include <urcu/urcu-memb.h>

/*
 * The read side inline: two of liburcu's functions of under ten lines, which it offers to code of
 * any licence.  A call of each would take as long as what it does.  Their thread's variable is not
 * declared initial-exec, which would spare the call that finds it: glibc has no room left for it in
 * a program that loads the library at run time, as nbdkit does.
 */
#include <urcu/static/urcu-memb.h>

#include "grace.h"

/*
 * Debian's liburcu is not built for ThreadSanitizer, which therefore does not see that a grace
 * period orders sections before it against what comes after.  These two say so: the end of every
 * section releases, the end of a grace period acquires.
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

enum registration { UNREGISTERED, REGISTERED, EACH_TIME };

static __thread enum registration registration __attribute__((tls_model("initial-exec")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_made;

static void thread_ends(void *value)
{
	(void)value;
	/* Another key's destructor may still read: let it register anew. */
	registration = UNREGISTERED;
	urcu_memb_unregister_thread();
}

static void make_key(void)
{
	key_made = pthread_key_create(&key, thread_ends) == 0;
}

static __attribute__((noinline)) void register_thread(void)
{
	pthread_once(&once, make_key);
	urcu_memb_register_thread();
	registration = REGISTERED;
	/* Any value but NULL makes the key's destructor run. */
	if (!key_made || pthread_setspecific(key, &key) != 0)
		registration = EACH_TIME;
}

void grace_enter(void)
{
	if (__builtin_expect(registration != REGISTERED, 0))
		register_thread();
	read_lock();
}

void grace_leave(void)
{
	TSAN_RELEASE();
	read_unlock();
	if (__builtin_expect(registration == EACH_TIME, 0)) {
		registration = UNREGISTERED;
		urcu_memb_unregister_thread();
	}
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
