/* SPDX-License-Identifier: BSD-3-Clause */
/* span.h - a byte range as whole blocks and the parts at its ends. */
#ifndef SPAN_H
#define SPAN_H

#include <stdint.h>

#include "media/layout.h"

struct span {
	uint64_t head_block; /* part at the front: head_len bytes at head_from; 0 for none */
	uint32_t head_from, head_len;
	uint64_t block, blocks; /* whole blocks */
	uint64_t tail_block;	/* part at the back: tail_len bytes at 0; 0 for none */
	uint32_t tail_len;
};

static inline struct span span_of(uint64_t count, uint64_t offset)
{
	struct span span = { .block = offset >> LAYOUT_PAGE_SHIFT };
	uint32_t in_block = (uint32_t)(offset % LAYOUT_PAGE_SIZE);

	if (in_block != 0) {
		uint64_t rest = LAYOUT_PAGE_SIZE - in_block;

		span.head_block = span.block++;
		span.head_from = in_block;
		span.head_len = (uint32_t)(count < rest ? count : rest);
		count -= span.head_len;
	}
	span.blocks = count >> LAYOUT_PAGE_SHIFT;
	span.tail_block = span.block + span.blocks;
	span.tail_len = (uint32_t)(count % LAYOUT_PAGE_SIZE);
	return span;
}

#endif /* SPAN_H */
