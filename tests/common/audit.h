/* SPDX-License-Identifier: BSD-3-Clause */
/* audit.h - each data page of an open device has one owner, and all sums are true.  See audit.c. */
#ifndef AUDIT_H
#define AUDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "io/handle.h"

/*
 * A started handle, to which no request is under way, and of which no page is bad.  False with words for it: a page has
 * two owners or none, or a sum is not what the maps say.
 */
bool audit(struct kmemblk *h, char *why, size_t size);

#endif /* AUDIT_H */
