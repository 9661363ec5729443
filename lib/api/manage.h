/* SPDX-License-Identifier: BSD-3-Clause */
/* manage.h - what kmemblk_start() has left to do for volumes.  See manage.c. */
#ifndef MANAGE_H
#define MANAGE_H

#include "io/handle.h"

/* Clear what stands past the end of a volume that was shrunk; nobody uses it.  0 or -EIO with message. */
int manage_cut(struct kmemblk_volume *v);

#endif /* MANAGE_H */
