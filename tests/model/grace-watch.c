/* SPDX-License-Identifier: BSD-3-Clause */
/* grace-watch.c - see grace-watch.h.  Linked into a test with -Wl,--wrap=grace_wait. */
#include "config.h"

#include <stdatomic.h>

#include "pages/grace.h"
#include "grace-watch.h"

static _Atomic unsigned int waiting;

void __real_grace_wait(void);
void __wrap_grace_wait(void);

void __wrap_grace_wait(void)
{
	atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed);
	__real_grace_wait();
	atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
}

bool grace_under_way(void)
{
	return atomic_load_explicit(&waiting, memory_order_relaxed) > 0;
}
