/* SPDX-License-Identifier: BSD-3-Clause */
/* found.h - make durable what an open finds.  See found.c. */
#ifndef FOUND_H
#define FOUND_H

#include "map/index.h"

/* What the kernel did not forget: a byte a page, which is not 0 if it still has it. */
struct found {
	unsigned char *kept; /* of the index */
	unsigned char super_kept;
};

/*
 * Of a mapped device that is about to be written to, before the first look at its superblock, and then
 * at its index.  The second: 0 or -ENOMEM with message; found_free() in any case.
 */
void found_before_super(struct found *found, const struct device *device);
int found_before_index(struct found *found, const struct device *device, const struct super *super);

/* After it: 0 or -errno with message, and then nothing that was found may be relied on. */
int found_persist(const struct found *found, const struct device *device,
		  const struct index *index);

/* One that is all zero is allowed. */
void found_free(struct found *found);

#endif /* FOUND_H */
