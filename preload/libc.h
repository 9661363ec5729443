/* SPDX-License-Identifier: BSD-3-Clause */
/* libc.h - libc's own of what calls.c puts itself before. */
#ifndef LIBC_H
#define LIBC_H

#include <dlfcn.h>
#include <stdatomic.h>

/* Of Linux 5.14. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* libc's function of that name, looked up once. */
#define NEXT(name)                                                                                 \
	({                                                                                         \
		static _Atomic(void *) next;                                                       \
		void *found = atomic_load_explicit(&next, memory_order_relaxed);                   \
                                                                                                   \
		if (!found) {                                                                      \
			found = dlsym(RTLD_NEXT, #name);                                           \
			atomic_store_explicit(&next, found, memory_order_relaxed);                 \
		}                                                                                  \
		(__typeof__(&name))found;                                                          \
	})

#endif /* LIBC_H */
