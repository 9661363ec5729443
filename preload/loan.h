/* SPDX-License-Identifier: BSD-3-Clause */
/* loan.h - a loan in a slot of the heap: shared, then private, then copied.  See loan.c. */
#ifndef LOAN_H
#define LOAN_H

#include <stdbool.h>
#include <stddef.h>

#include "borrow/connection.h"

/* All these in the thread with the descriptors.  Map a loan into a claimed slot: 0 or -errno. */
int loan_map(size_t slot, struct zone *zone);

/*
 * Map all shared loans again, privately, where they are.  0; or -errno: those that could not be are shared
 * as before.  Nobody fills or empties a slot meanwhile.
 */
int loan_make_all_private(void);

/* Copy all pages of a private one that somebody has; false if that cannot be.  Without heap.lock. */
bool loan_copy(size_t slot);

#endif /* LOAN_H */
