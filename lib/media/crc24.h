/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crc24.h - the check value of a block.  See crc24.c.
 *
 * It is over the disk's family and the block's number, as if they stood before the page, and the 4096 bytes
 * of it: so a page that is another block's, or of another disk, shows as well.
 */
#ifndef CRC24_H
#define CRC24_H

#include <stdbool.h>
#include <stdint.h>

/* What stands before the page. */
struct crc24_prefix {
	uint64_t family;
	uint64_t block;
};

/* The value of a page where it is. */
uint32_t crc24_page(struct crc24_prefix prefix, const void *page);

/* Copy a page, and the value of the bytes that were copied, whatever becomes of `src` meanwhile. */
uint32_t crc24_copy(struct crc24_prefix prefix, void *dst, const void *src);

/*
 * The same by non-temporal stores to a `dst` that is aligned to its size: on their way to the media, and a
 * drain waits for them.  Only where there are such: else copy and flush.
 */
bool crc24_can_stream(void);
uint32_t crc24_stream(struct crc24_prefix prefix, void *dst, const void *src);

/*
 * Of an entry that names a table or a record: over its family, the page it names, and the level and the
 * number of what is named.
 */
uint32_t crc24_place(uint64_t family, uint64_t page, unsigned int level, uint64_t number);

/* One way to compute it.  `stream` may be NULL. */
struct crc24_way {
	const char *name;
	uint32_t (*page)(struct crc24_prefix prefix, const void *page);
	uint32_t (*copy)(struct crc24_prefix prefix, void *dst, const void *src);
	uint32_t (*stream)(struct crc24_prefix prefix, void *dst, const void *src);
};

/* Those that this processor has, the fastest last; NULL past it.  For tests, and to choose one. */
const struct crc24_way *crc24_way(unsigned int number);

#ifdef __x86_64__
/* Of crc24-x86.c. */
extern const struct crc24_way crc24_pclmul, crc24_vpclmul;
bool crc24_has_pclmul(void);
bool crc24_has_vpclmul(void);
#endif

#endif /* CRC24_H */
