/* SPDX-License-Identifier: BSD-3-Clause */
/* badblocks.h - the pages of which the system knows that their media has failed.  See badblocks.c. */
#ifndef BADBLOCKS_H
#define BADBLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/device.h"

/* Adjacent bad pages, all of them inside the device. */
struct badblocks_run {
	uint64_t first;
	uint64_t count;
};

struct badblocks {
	struct badblocks_run *runs; /* in no order, and they may overlap; owned */
	size_t count;
};

/*
 * Ask the system about a mapped device.  Empty where there is no such list, or where it may not be
 * read.  0, or -ENOMEM with message; then, too, the list is to be ended by badblocks_free().
 */
int badblocks_read(struct badblocks *list, const struct device *device);
void badblocks_free(struct badblocks *list);

/* The first bad page in [from, to) that comes up; false if there is none. */
bool badblocks_find(const struct badblocks *list, uint64_t from, uint64_t to, uint64_t *page);

#endif /* BADBLOCKS_H */
