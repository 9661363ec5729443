/* SPDX-License-Identifier: BSD-3-Clause */
/* resize.h - the sizes of volumes, and what is past their ends.  See resize.c. */
#ifndef RESIZE_H
#define RESIZE_H

#include <stdint.h>

#include "io/handle.h"

/* 0 if a volume can have so many bytes, else -EINVAL with message. */
int resize_check_size(const struct kmemblk *h, const char *what, uint64_t size);

/* Clear what stands at or past a block of a volume that nobody uses.  0 or -errno with message. */
int resize_cut(struct kmemblk_volume *v, uint64_t blocks);

/* The same past its own end, as a crash or a failure has left it.  Sets v->past. */
int resize_cut_past(struct kmemblk_volume *v);

#endif /* RESIZE_H */
