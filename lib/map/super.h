/* SPDX-License-Identifier: BSD-3-Clause */
/* super.h - the superblock: from media to a checked struct and back.  See super.c. */
#ifndef SUPER_H
#define SUPER_H

#include <stdbool.h>
#include <stdint.h>

#include "media/device.h"
#include "media/layout.h"
#include "map/types.h"

enum super_state {
	SUPER_SOUND,
	SUPER_ABSENT,	   /* no magic: something else, or nothing, is there */
	SUPER_DAMAGED,	   /* magic, but a wrong checksum or an impossible field */
	SUPER_CUT_SHORT,   /* whole, but of a device with more pages than there are */
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

/* The page at the device's end, where the copy is if the format uses all of the device. */
static inline uint64_t super_last_page(const struct device *device)
{
	uint64_t pages = device->size >> LAYOUT_PAGE_SHIFT;

	return (pages < LAYOUT_MAX_PAGES ? pages : LAYOUT_MAX_PAGES) - 1;
}

/* The superblock that takes the place of `super` when the device has so many pages. */
struct super super_grown(const struct super *super, uint64_t device_pages);

/*
 * True if a growth (api/grow.c) from `super`, the primary, has been cut: the copy of what is to take its place, *grown,
 * is at the device's end.
 */
bool super_find_grown(const struct device *device, const struct super *super, struct super *grown);

/*
 * Read the primary for use; where power was lost while a growth exchanged it, what was to take its place.  0, or -errno
 * with a message that names the command to type.
 */
int super_load(const struct device *device, struct super *super);

/* Write and drain a superblock at `page`.  0 or -errno with message. */
int super_write(const struct device *device, uint64_t page, const struct super *super,
		enum pm_order order);

/*
 * Write and drain the primary in place of one that differs from `super` by size and generation only, whose copy is at
 * the device's end and durable: cut anywhere, super_load() finds the old one or this one.  0 or -errno with message.
 */
int super_exchange(const struct device *device, const struct super *super);

/* True if two superblocks say the same. */
bool super_same(const struct super *a, const struct super *b);

#endif /* SUPER_H */
