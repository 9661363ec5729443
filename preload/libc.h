/* SPDX-License-Identifier: BSD-3-Clause */
/* libc.h - the functions that the program calls through us, as it would have them without.  See libc.c. */
#ifndef LIBC_H
#define LIBC_H

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of Linux 5.14. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

typedef void fork_handler(void);

int __register_atfork(fork_handler *prepare, fork_handler *parent, fork_handler *child,
		      void *object);

#define LIBC_FUNCTIONS(F)                                                                          \
	F(_Fork)                                                                                   \
	F(__register_atfork)                                                                       \
	F(aligned_alloc)                                                                           \
	F(calloc)                                                                                  \
	F(clone)                                                                                   \
	F(fork)                                                                                    \
	F(free)                                                                                    \
	F(madvise)                                                                                 \
	F(malloc)                                                                                  \
	F(malloc_usable_size)                                                                      \
	F(memalign)                                                                                \
	F(mlock)                                                                                   \
	F(mlock2)                                                                                  \
	F(mlockall)                                                                                \
	F(mprotect)                                                                                \
	F(posix_memalign)                                                                          \
	F(prctl)                                                                                   \
	F(pthread_exit)                                                                            \
	F(realloc)                                                                                 \
	F(setns)                                                                                   \
	F(syscall)                                                                                 \
	F(unshare)                                                                                 \
	F(waitpid)

struct libc {
#define LIBC_MEMBER(name) __typeof__(&name) name;
	LIBC_FUNCTIONS(LIBC_MEMBER)
#undef LIBC_MEMBER
	_Atomic bool known;
};

extern struct libc libc;

void libc_look_up(void);

static inline const struct libc *libc_get(void)
{
	/* Acquire: see libc_look_up(). */
	if (!atomic_load_explicit(&libc.known, memory_order_acquire))
		libc_look_up();
	return &libc;
}

/* The next function of that name after ours. */
#define NEXT(name) (libc_get()->name)

#endif /* LIBC_H */
