/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * span.c - requests to change any bytes: whole blocks, and the parts of blocks at both ends.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "io/collect.h"
#include "io/request.h"
#include "io/span.h"
#include "io/trim.h"
#include "io/write.h"

static __attribute__((noinline)) int write_span(struct kmemblk_volume *v, const uint8_t *src,
						size_t count, uint64_t offset)
{
	struct span span = span_of(count, offset);
	int rc = 0;

	if (span.head_len > 0)
		rc = write_part(v, span.head_block, span.head_from, span.head_len, src, false);
	if (rc == 0 && span.blocks > 0)
		rc = write_whole(v, span.block, span.blocks, src + span.head_len);
	if (rc == 0 && span.tail_len > 0)
		rc = write_part(v, span.tail_block, 0, span.tail_len, src + count - span.tail_len,
				false);
	return rc;
}

static inline int write_any(struct kmemblk_volume *v, const void *buf, size_t count,
			    uint64_t offset)
{
	if ((offset | count) % LAYOUT_PAGE_SIZE != 0)
		return write_span(v, buf, count, offset);
	return write_whole(v, offset >> LAYOUT_PAGE_SHIFT, count >> LAYOUT_PAGE_SHIFT, buf);
}

int kmemblk_write(struct kmemblk_volume *v, const void *buf, size_t count, uint64_t offset)
{
	unsigned int tries = 0;
	uint64_t seen;
	int rc;

	map_prefetch(&v->map, offset >> LAYOUT_PAGE_SHIFT);
	rc = check_writable(v, "write", count, offset);
	if (__builtin_expect(rc != 0, 0))
		return rc;
	do {
		seen = collect_count(v->h);
		rc = write_any(v, buf, count, offset);
	} while (__builtin_expect(rc == -ENOSPC, 0) && tries++ < COLLECT_TRIES &&
		 collect_for(v->h, seen));
	return rc == 0 ? acknowledge(v->h) : rc;
}

int kmemblk_trim(struct kmemblk_volume *v, uint64_t count, uint64_t offset)
{
	struct span span = span_of(count, offset);
	int rc = check_writable(v, "trim", count, offset);

	/* The parts at the ends keep their contents. */
	if (rc == 0)
		rc = trim_blocks(v, span.block, span.blocks, "trim");
	return rc == 0 ? acknowledge(v->h) : rc;
}

static int zero_span(struct kmemblk_volume *v, const struct span *span, bool hole)
{
	int rc = 0;

	if (span->head_len > 0)
		rc = write_part(v, span->head_block, span->head_from, span->head_len, NULL, hole);
	if (rc == 0 && span->blocks > 0)
		rc = hole ? trim_blocks(v, span->block, span->blocks, "zero")
			  : write_whole(v, span->block, span->blocks, NULL);
	if (rc == 0 && span->tail_len > 0)
		rc = write_part(v, span->tail_block, 0, span->tail_len, NULL, hole);
	return rc;
}

int kmemblk_zero(struct kmemblk_volume *v, uint64_t count, uint64_t offset, unsigned int flags)
{
	bool hole = !(flags & KMEMBLK_ZERO_NO_HOLE);
	struct span span = span_of(count, offset);
	int rc = check_writable(v, "zero", count, offset);
	unsigned int tries = 0;
	uint64_t seen;

	if (rc == 0 && flags & ~KMEMBLK_ZERO_NO_HOLE)
		rc = fail(EINVAL, "zero: %s: unknown flags 0x%x", v->h->device.path, flags);
	if (rc != 0)
		return rc;
	do {
		seen = collect_count(v->h);
		rc = zero_span(v, &span, hole);
	} while (rc == -ENOSPC && tries++ < COLLECT_TRIES && collect_for(v->h, seen));
	return rc == 0 ? acknowledge(v->h) : rc;
}
