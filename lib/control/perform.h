/* SPDX-License-Identifier: BSD-3-Clause */
/* perform.h - a change, by the calls of kmemblk-volume.h.  See perform.c. */
#ifndef PERFORM_H
#define PERFORM_H

#include "kmemblk.h"

/* On a handle that is started: as the call returns that the change stands for.  The change has been checked. */
int perform_change(struct kmemblk *h, struct kmemblk_change *change);

#endif /* PERFORM_H */
