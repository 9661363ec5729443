/* SPDX-License-Identifier: BSD-3-Clause */
/* super.h - the superblock: from media to a checked struct and back.  See super.c. */
#ifndef SUPER_H
#define SUPER_H

#include <stdint.h>

#include "media/device.h"
#include "media/layout.h"
#include "map/types.h"

enum super_state {
	SUPER_SOUND,
	SUPER_ABSENT,	   /* no magic: something else, or nothing, is there */
	SUPER_DAMAGED,	   /* magic, but a wrong checksum or an impossible field */
	SUPER_UNSUPPORTED, /* sound, but of a format this version cannot read */
	SUPER_UNREADABLE,  /* media error */
};

/* What is wrong, in words that fit after "superblock: ". */
struct super_verdict {
	enum super_state state;
	char reason[160];
};

/*
 * Read and check the superblock at `page` of a mapped device.  `super` is set only when the
 * verdict is SUPER_SOUND.  Sets no message.
 */
enum super_state super_read(const struct device *device, uint64_t page, struct super *super,
			    struct super_verdict *verdict);

/* Read the primary for use: 0, or -errno with a message that names the command to type. */
int super_load(const struct device *device, struct super *super);

/* Write and drain a superblock at `page`.  0 or -errno with message. */
int super_write(const struct device *device, uint64_t page, const struct super *super,
		enum pm_order order);

/* True if two superblocks say the same. */
bool super_same(const struct super *a, const struct super *b);

#endif /* SUPER_H */
