/* SPDX-License-Identifier: BSD-3-Clause */
/* blocks.h - what tests of volumes and snapshots do with one block at a time. */
#ifndef UNIT_BLOCKS_H
#define UNIT_BLOCKS_H

#include "kmemblk.h"

/* These fail the test where the library fails.  A snapshot is VOLUME@SNAPSHOT. */
struct kmemblk_volume *unit_open_volume(struct kmemblk *h, const char *name);
void unit_take_snapshot(struct kmemblk *h, const char *name);

/* A block gets the contents of a number, or is expected to have them; 0: zeroes. */
void unit_write_to(struct kmemblk_volume *v, uint64_t block, uint64_t number);
void unit_expect_in(struct kmemblk_volume *v, uint64_t block, uint64_t number);

#endif /* UNIT_BLOCKS_H */
