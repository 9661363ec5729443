/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.h - turn a SIGBUS inside the mapping into an error of the access that met it.
 *
 * The kernel reports a media error as SIGBUS at the load; a file that was cut short and a full file
 * system look the same, and fault.c tells them apart.  Whatever touches the mapping does so in a
 * function that is called by guard_run(), or by guard_read() and guard_write(), which are that for
 * the plain cases.  A fault outside the mapping goes to the handler that was there before.
 *
 * A thread in which SIGBUS is blocked would be killed by the kernel at a fault: its first guarded
 * access unblocks the signal.
 */
#ifndef GUARD_H
#define GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/fault.h"
#include "media/pm.h"

/* Install the process's handler, once; later calls do nothing.  0 or -errno with message. */
int guard_install(void);

/*
 * Call access(opaque), which copies from and to the mapping and works on entries, and nothing
 * else: at a fault it is left as by longjmp, so it must hold nothing that needs to be given back, and
 * those of its results that are read after a fault must be volatile.  True if it returned; false
 * after a fault, which is then in *fault.  Guards do not nest.
 */
bool guard_run(const struct pm *pm, void (*access)(void *opaque), void *opaque,
	       struct fault *fault);

/* Copy out of the mapping; false after a fault. */
bool guard_read(const struct pm *pm, void *dst, const void *src, size_t len);

/*
 * pm_copy(), or with src NULL pm_zero(); after a fault what fault_error() says.  *unflushed, which may be NULL: it was no
 * fault, but the flush that failed.
 */
int guard_write(const struct device *device, void *dst, const void *src, size_t len,
		enum pm_order order, bool *unflushed);

#endif /* GUARD_H */
