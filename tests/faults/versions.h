/* SPDX-License-Identifier: BSD-3-Clause */
/* versions.h - a disk on which each block's newest version is known. */
#ifndef VERSIONS_H
#define VERSIONS_H

#include <stdint.h>

#include "common/server.h"

/* Blocks that can be written so. */
#define VERSIONS_MOST 2048u

/* The connection, which the test makes. */
extern struct nbd_handle *nbd;

/* Start a server with the disk, connect, and write the first version of so many blocks. */
void start_with_blocks(uint64_t size, uint64_t blocks);

/* Write the block's next version: 0, or -1 with libnbd's error. */
int write_block(uint64_t number);

/* End the test unless the block holds what was written last. */
void expect_block(uint64_t number);

#endif /* VERSIONS_H */
