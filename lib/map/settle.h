/* SPDX-License-Identifier: BSD-3-Clause */
/* settle.h - make durable what an open finds.  See settle.c. */
#ifndef SETTLE_H
#define SETTLE_H

#include "map/index.h"

/* What the kernel did not forget: a byte a page, which is not 0 if it still has it. */
struct settle {
	unsigned char *kept; /* of the index */
	unsigned char super_kept;
};

/*
 * Of a mapped device that is about to be written to, before the first look at its superblock, and then
 * at its index.  The second: 0 or -ENOMEM with message; settle_free() in any case.
 */
void settle_before_super(struct settle *settle, const struct device *device);
int settle_before_index(struct settle *settle, const struct device *device,
			const struct super *super);

/* After it: 0 or -errno with message, and then nothing that was found may be relied on. */
int settle_found(const struct settle *settle, const struct device *device,
		 const struct index *index);

/* One that is all zero is allowed. */
void settle_free(struct settle *settle);

#endif /* SETTLE_H */
