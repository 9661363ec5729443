/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libc.c - the functions behind ours, all looked up at the first call of one of them.
 *
 * That is long before there are threads.  Later the helper must not: a thread that has a lock of the dynamic
 * linker's, in a constructor of what it loads, may fork, and so wait for the helper.
 */
#include "config.h"

#include <dlfcn.h>

#include "libc.h"

struct libc libc;

void libc_look_up(void)
{
#define LOOK_UP(name) libc.name = (__typeof__(&name))dlsym(RTLD_NEXT, #name);
	LIBC_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
	/* Release: who finds it set finds all of them. */
	atomic_store_explicit(&libc.known, true, memory_order_release);
}
