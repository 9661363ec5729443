/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block.h - blocks that tell who they are: number, version and a check value over all of it.
 *
 * A block that is torn, lost or foreign cannot pass for a good one.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define BLOCK_SIZE 4096

/* Fill BLOCK_SIZE bytes with version `version`, which is not 0, of block number `number`. */
void block_fill(void *buf, uint64_t number, uint64_t version);

/*
 * The version of the block `number` in `buf`; 0 where it is all zeroes.  Returns false where it is
 * no whole version of that block.
 */
bool block_version(const void *buf, uint64_t number, uint64_t *version);

/* A random number, fast; `state` belongs to one thread and starts as anything but 0. */
uint64_t random_next(uint64_t *state);

#endif /* BLOCK_H */
