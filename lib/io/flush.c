/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flush.c - what is acknowledged is durable already (invariant 8), so a flush has nothing to do.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "io/handle.h"

int kmemblk_flush(struct kmemblk_volume *v)
{
	if (atomic_load_explicit(&v->h->pool.frozen, memory_order_relaxed))
		return fail(EIO, "flush: %s: an earlier failure to persist", v->h->device.path);
	return 0;
}
