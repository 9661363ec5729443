/* SPDX-License-Identifier: BSD-3-Clause */
/* claim.h - one server a device.  See claim.c. */
#ifndef CLAIM_H
#define CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "media/device.h"

/*
 * Claim the device: shared when it is open read-only, exclusive otherwise.  -EBUSY with a message
 * that names the holder where it can be seen.  Ends when the device is closed.
 */
int claim_take(struct device *device);

/*
 * 1 if somebody else's open file description has a lock in the range, 0 if not; -errno with message.
 * Borrowed memory is locked so (lend/loans.c), for as long as it is mapped.
 */
int claim_is_held(const struct device *device, uint64_t offset, uint64_t length);

/* -EBUSY with message if another process holds a lock on pages of the device, other than a claim:
 * borrowed memory. */
int claim_check_borrowers(const struct device *device);

/* True if the device is claimed, other than by `device` itself.  Takes no lock. */
bool claim_is_taken(const struct device *device);

#endif /* CLAIM_H */
