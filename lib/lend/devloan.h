/* SPDX-License-Identifier: BSD-3-Clause */
/* devloan.h - the loan on devdax.  See devloan.c. */
#ifndef DEVLOAN_H
#define DEVLOAN_H

#include <stdint.h>

#include "media/device.h"

/* A descriptor for the borrower, or -errno without message; -EAGAIN: somebody else has locked the zone. */
int devloan_open(const struct device *device, uint64_t offset);

/* The user that the server runs as now can open the device, as each loan must: 0, or -errno with message. */
int devloan_check(const struct device *device);

#endif /* DEVLOAN_H */
