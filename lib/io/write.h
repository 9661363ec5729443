/* SPDX-License-Identifier: BSD-3-Clause */
/* write.h - write blocks.  See write.c. */
#ifndef WRITE_H
#define WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/handle.h"

/* Whole blocks [block, block + n); src NULL writes zeroes. */
int write_whole(struct kmemblk_volume *v, uint64_t block, uint64_t n, const uint8_t *src);

/*
 * `len` bytes at `from` of one block; src NULL writes zeroes.  With `if_mapped`, for
 * zeroes only, a block without a page stays so.
 */
int write_part(struct kmemblk_volume *v, uint64_t block, uint32_t from, uint32_t len,
	       const uint8_t *src, bool if_mapped);

#endif /* WRITE_H */
