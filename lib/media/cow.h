/* SPDX-License-Identifier: BSD-3-Clause */
/* cow.h - whether a file system copies what is overwritten.  See cow.c. */
#ifndef COW_H
#define COW_H

#include "media/device.h"

/* As kmemblk_info has it. */
enum cow {
	COW_NONE,
	COW_ALWAYS, /* every overwrite */
	COW_SHARED, /* what another file shares, once */
};

enum cow cow_find(const struct device *device);

/* Ask for a new, empty file that its file system overwrites it in place; a wish, no more. */
void cow_avoid(int fd);

#endif /* COW_H */
