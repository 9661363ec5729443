/* SPDX-License-Identifier: BSD-3-Clause */
/* owned.h - open a path, unless another user may have put something else there.  See owned.c. */
#ifndef OWNED_H
#define OWNED_H

#include <stdbool.h>

/*
 * open() what is at `path`, which exists: the descriptor or -errno.  -EPERM, with message and *told,
 * if another user may have put it there, or changed it.
 */
int owned_open(const char *path, int flags, bool *told);

#endif /* OWNED_H */
