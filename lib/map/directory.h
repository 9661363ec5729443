/* SPDX-License-Identifier: BSD-3-Clause */
/* directory.h - which records there are.  See directory.c. */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "map/super.h"
#include "media/device.h"

/* How many entries it has. */
static inline unsigned int directory_size(const struct super *super)
{
	return (unsigned int)(super->directory_pages * LAYOUT_TABLE_ENTRIES);
}

/* The page of the device on which an entry is, or its copy. */
uint64_t directory_page(const struct super *super, unsigned int number, bool copy);

/* The entry that names a record. */
uint64_t directory_entry(uint64_t page, unsigned int number);

/* What an entry, or its copy, says: the page of a record, 0 for none, or why that is not known. */
#define DIRECTORY_DAMAGED    UINT64_MAX
#define DIRECTORY_UNREADABLE (UINT64_MAX - 1)
uint64_t directory_read(const struct device *device, const struct super *super, unsigned int number,
			bool copy);

static inline bool directory_names(uint64_t page)
{
	return page != 0 && page < DIRECTORY_UNREADABLE;
}

/*
 * Name a record that is durable, or another in its place; and name none.  Durable on return.  Called in a
 * section, where there are requests: 0 or -errno without message, and then nobody knows what is durable.
 */
int directory_set(const struct device *device, const struct super *super, unsigned int number,
		  uint64_t page);
int directory_clear(const struct device *device, const struct super *super, unsigned int number);

/* Make the copy say the same, after a crash between the two.  The same. */
int directory_equalize(const struct device *device, const struct super *super);

#endif /* DIRECTORY_H */
