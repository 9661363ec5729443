/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * types.h - what a superblock says, and the format types.
 *
 * A type says how a device's pages are divided.  Everything else in the library asks the table
 * here and never compares type numbers, so a new type is one more row.
 */
#ifndef TYPES_H
#define TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "media/layout.h"

struct format_type;

/* A superblock that has passed every check, in the CPU's byte order. */
struct super {
	const struct format_type *type;
	uint64_t compat;    /* feature bits, kept when the superblock is rewritten */
	uint64_t ro_compat; /* the same; this version knows none */
	uint64_t device_pages;
	uint64_t directory_start; /* page */
	uint64_t directory_pages; /* its copy, which has as many, not counted */
	uint64_t spare_pages;
	uint64_t generation;
	uint64_t created;
	uint32_t check; /* enum layout_check */
	uint8_t uuid[16];
	char label[LAYOUT_LABEL_SIZE];
};

/* What is wanted of a division; 0: the default. */
struct division {
	uint64_t blocks; /* of the first volume: as many as can be filled; what it gets */
	uint64_t spare;	 /* pages */
	uint64_t views;	 /* volumes that the directory has room for, at least */
};

struct format_type {
	uint32_t id;	  /* enum layout_type */
	const char *name; /* as users type it */
	/*
	 * Divide super->device_pages: set directory_pages and spare_pages, and say how many blocks there are.  0
	 * or -errno with a message that names `path`.
	 */
	int (*plan)(struct super *super, struct division *wanted, const char *path);
	/* True if a superblock read from media divides its pages in a way this type allows. */
	bool (*sound)(const struct super *super);
};

static inline uint64_t super_copy_page(const struct super *super)
{
	return super->device_pages - 1;
}

static inline uint64_t super_data_start(const struct super *super)
{
	return super->directory_start + 2 * super->directory_pages;
}

static inline uint64_t super_data_pages(const struct super *super)
{
	return super_copy_page(super) - super_data_start(super);
}

/* Pages that the record and the tables of the largest disk take. */
uint64_t type_for_tables(const struct super *super);

/* The kinds of check values (enum layout_check) by their names; -1: there is none of that name. */
const char *check_name(uint32_t check);
int check_by_name(const char *name);
const char *check_names(void);

/* Find a row; NULL if there is none.  The names are for messages: "blk, none". */
const struct format_type *type_by_id(uint32_t id);
const struct format_type *type_by_name(const char *name);
const char *type_names(void);

#endif /* TYPES_H */
