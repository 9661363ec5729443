/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * make.h - what the programs that made the stored images share.
 *
 * They give the same bytes each time: uuids, families and times of creation are set, one thread on one processor takes
 * free pages in order, and no page is freed before the last is taken, but by what says otherwise.
 */
#ifndef MAKE_H
#define MAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "unit.h"
#include "common/disk.h"

/* Make the device, and settle its superblocks and first record.  False, with the library's message, if it fails. */
bool make_begin(const char *path, const struct kmemblk_format_options *options);

/*
 * Open and start it, call `session`, and close it.  What the session made has uuid, time and, if that is no clone and no
 * snapshot, family set afterwards; so nothing is written to a volume in the session that makes it.
 */
bool make_run(bool (*session)(struct kmemblk *h));

/* Write to a block a text of 16 bytes, again and again. */
bool make_put(struct kmemblk *h, const char *volume, uint64_t block, const char *text);

/* Clear an entry of the directory, whose volume then is not there. */
bool make_forget(unsigned int number);

/* Zero what no entry names. */
bool make_erase_free(void);

/* The end of main(): tells what failed. */
int make_end(const char *program, bool done);

#endif /* MAKE_H */
