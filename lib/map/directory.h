/* SPDX-License-Identifier: BSD-3-Clause */
/* directory.h - which records there are.  See directory.c. */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stdint.h>

#include "map/super.h"
#include "media/device.h"

/* How many entries it has. */
static inline unsigned int directory_size(const struct super *super)
{
	return (unsigned int)(super->directory_pages * LAYOUT_TABLE_ENTRIES);
}

/* The entry that names a record; and what such an entry says: its page, 0, or UINT64_MAX. */
uint64_t directory_entry(uint64_t page, unsigned int number);
uint64_t directory_page_of(const struct super *super, uint64_t entry, unsigned int number);

/* An entry, or its copy, as it stands on the media; false after a media error. */
bool directory_load(const struct device *device, const struct super *super, unsigned int number,
		    bool copy, uint64_t *entry);

/*
 * Name a record that is durable, or another in its place; and name none.  Durable on return.  Called in a
 * section: 0 or -errno without message, and then nobody knows what is durable.
 */
int directory_set(const struct device *device, const struct super *super, unsigned int number,
		  uint64_t page);
int directory_clear(const struct device *device, const struct super *super, unsigned int number);

/* Make the copy say the same, after a crash between the two.  The same. */
int directory_equalize(const struct device *device, const struct super *super);

#endif /* DIRECTORY_H */
