/* SPDX-License-Identifier: BSD-3-Clause */
/* ranges.h - what kmemblk_diff() promises of the ranges that it tells, whatever they are. */
#ifndef RANGES_H
#define RANGES_H

#include "unit.h"

struct ranges {
	uint64_t end;	    /* of the last one */
	unsigned int flags; /* of it */
	unsigned int calls;
};

/* Whole blocks, in order, apart, and joined. */
static inline void ranges_expect_next(struct ranges *r, uint64_t offset, uint64_t count,
				      unsigned int flags)
{
	ck_assert_uint_eq(offset % PAGE, 0);
	ck_assert_uint_eq(count % PAGE, 0);
	ck_assert_uint_gt(count, 0);
	ck_assert_uint_eq(flags & ~KMEMBLK_EXTENT_HOLE, 0);
	if (r->calls > 0)
		ck_assert(offset > r->end || (offset == r->end && flags != r->flags));
	r->end = offset + count;
	r->flags = flags;
	r->calls++;
}

#endif /* RANGES_H */
