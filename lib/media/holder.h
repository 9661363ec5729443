/* SPDX-License-Identifier: BSD-3-Clause */
/* holder.h - who holds a claim.  See holder.c. */
#ifndef HOLDER_H
#define HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "media/device.h"

/* The claim covers this many bytes at the start of the device: the superblock. */
#define CLAIM_BYTES LAYOUT_PAGE_SIZE

/*
 * Find a process that holds a claim on the device, other than by `device` itself; false if none can
 * be seen.  A process that belongs to another user is seen by root only.
 */
bool holder_find(const struct device *device, pid_t *pid, char *name, size_t name_size);

#endif /* HOLDER_H */
