/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * types.h - the format types.
 *
 * A type says how a device's pages are divided.  Everything else in the library asks the table
 * here and never compares type numbers, so a new type is one more row.
 */
#ifndef TYPES_H
#define TYPES_H

#include <stdbool.h>
#include <stdint.h>

struct super;

struct format_type {
	uint32_t id;	  /* enum layout_type */
	const char *name; /* as users type it */
	/*
	 * Divide super->device_pages: set index_pages, blocks and spare_pages.  `blocks` wanted, 0
	 * for as many as fit; `spare` wanted, 0 for the default.  0 or -errno with a message that
	 * names `path`.
	 */
	int (*plan)(struct super *super, uint64_t blocks, uint64_t spare, const char *path);
	/* True if a superblock read from media divides its pages in a way this type allows. */
	bool (*sound)(const struct super *super);
};

/* Find a row; NULL if there is none.  The names are for messages: "blk, none". */
const struct format_type *type_by_id(uint32_t id);
const struct format_type *type_by_name(const char *name);
const char *type_names(void);

#endif /* TYPES_H */
