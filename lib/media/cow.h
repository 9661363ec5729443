/* SPDX-License-Identifier: BSD-3-Clause */
/* cow.h - whether a file system copies what is overwritten.  See cow.c. */
#ifndef COW_H
#define COW_H

#include <stdint.h>

#include "media/pm.h"

/* As kmemblk_info has it. */
enum cow {
	COW_NONE,
	COW_ALWAYS, /* every overwrite */
	COW_SHARED, /* what another file shares, once */
};

/* Of an open file of `size` bytes, or a device. */
enum cow cow_find(int fd, enum pm_media media, uint64_t size);

/* Ask for a new, empty file that its file system overwrites it in place; a wish, no more. */
void cow_avoid(int fd);

#endif /* COW_H */
