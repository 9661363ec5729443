/* SPDX-License-Identifier: BSD-3-Clause */
/* settle.h - make durable what an open finds.  See settle.c. */
#ifndef SETTLE_H
#define SETTLE_H

#include "map/index.h"

/*
 * The superblock and the index of a device that is about to be written to.  0 or -errno with message:
 * then nothing that was found may be relied on.
 */
int settle(const struct device *device, const struct index *index);

#endif /* SETTLE_H */
