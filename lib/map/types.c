/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * types.c - the table of format types and how each divides a device.
 *
 * blk    superblock, directory and its copy, data, copy of the superblock.  Blocks, with the tables of
 *        their map and the record, are fewer than data pages by the spare: every write, an overwrite too,
 *        needs a free page for a moment.
 * none   superblock, data, copy: no blocks, all data pages are memory.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "map/record.h"
#include "map/types.h"

/* The two superblocks. */
#define SUPER_PAGES 2
/* The directory and its copy take at most one page in so many, or one page each. */
#define DIRECTORY_SHARE 8

/* What a disk of so many blocks takes once all have been written: a record, tables, blocks. */
static uint64_t pages_for(uint64_t blocks)
{
	return 1 + record_all_tables(blocks) + blocks;
}

/* Blocks of the largest disk that so many pages hold; 0 if they hold none. */
static uint64_t most_blocks(uint64_t pages)
{
	uint64_t low = 0, high = pages;

	while (low < high) {
		uint64_t blocks = high - (high - low) / 2;

		if (pages_for(blocks) <= pages)
			low = blocks;
		else
			high = blocks - 1;
	}
	return low;
}

uint64_t type_for_tables(const struct super *super)
{
	uint64_t pages = super_data_pages(super);

	return super->directory_pages == 0 || pages <= super->spare_pages
		       ? 0
		       : 1 + record_all_tables(most_blocks(pages - super->spare_pages));
}

/*
 * 1/64 of the device, at most 32 MiB: enough pages on their way through a grace period that
 * sixteen writers of large requests seldom wait.
 */
static uint64_t default_spare(uint64_t device_pages)
{
	uint64_t spare = device_pages / 64;

	if (spare < 1)
		return 1;
	return spare > 8192 ? 8192 : spare;
}

/* An entry a volume. */
static int plan_directory(struct super *super, uint64_t views, const char *path)
{
	uint64_t most = super->device_pages / DIRECTORY_SHARE / 2, pages;

	if (most < 1)
		most = 1;
	if (most > LAYOUT_DIRECTORY_MAX)
		most = LAYOUT_DIRECTORY_MAX;
	if (views > LAYOUT_DIRECTORY_MAX * LAYOUT_TABLE_ENTRIES)
		return fail(EINVAL, "format: %s: --views=%llu: there can be at most %llu", path,
			    (unsigned long long)views,
			    (unsigned long long)(LAYOUT_DIRECTORY_MAX * LAYOUT_TABLE_ENTRIES));
	pages = views == 0 ? 1 : (views + LAYOUT_TABLE_ENTRIES - 1) / LAYOUT_TABLE_ENTRIES;
	if (pages > most)
		return fail(
			ENOSPC,
			"format: %s: --views=%llu: two directories of %llu pages are more than an "
			"eighth of the device, which has %llu; at most %llu views do",
			path, (unsigned long long)views, (unsigned long long)pages,
			(unsigned long long)super->device_pages,
			(unsigned long long)(most * LAYOUT_TABLE_ENTRIES));
	super->directory_pages = pages;
	return 0;
}

/* Give the blocks what the superblocks, the directories and the spare leave. */
static int plan_blocks(struct super *super, struct division *wanted, const char *path)
{
	uint64_t fixed = SUPER_PAGES + 2 * super->directory_pages, spare = wanted->spare, most = 0;

	if (spare == 0)
		spare = default_spare(super->device_pages);
	if (super->device_pages > fixed && spare < super->device_pages - fixed)
		most = most_blocks(super->device_pages - fixed - spare);
	if (most == 0)
		return fail(
			ENOSPC,
			"format: %s: %llu pages of 4096 bytes are too few for two superblocks, two "
			"directories, a record, a table, a block and a spare of %llu",
			path, (unsigned long long)super->device_pages, (unsigned long long)spare);
	if (wanted->blocks == 0)
		wanted->blocks = most;
	if (wanted->blocks > most)
		return fail(ENOSPC,
			    "format: %s: a disk of %llu blocks does not fit; at most %llu do "
			    "(--size=%lluK)",
			    path, (unsigned long long)wanted->blocks, (unsigned long long)most,
			    (unsigned long long)most * (LAYOUT_PAGE_SIZE / 1024));
	super->spare_pages = spare;
	return 0;
}

static int plan_blk(struct super *super, struct division *wanted, const char *path)
{
	int rc = plan_directory(super, wanted->views, path);

	return rc == 0 ? plan_blocks(super, wanted, path) : rc;
}

static bool sound_blk(const struct super *super)
{
	return super->directory_pages >= 1 && super->directory_pages <= LAYOUT_DIRECTORY_MAX &&
	       super->spare_pages >= 1 && super->spare_pages <= super->device_pages &&
	       SUPER_PAGES + 2 * super->directory_pages + super->spare_pages + pages_for(1) <=
		       super->device_pages;
}

static int plan_none(struct super *super, struct division *wanted, const char *path)
{
	if (wanted->blocks != 0 || wanted->spare != 0 || wanted->views != 0)
		return fail(EINVAL, "format: %s: type none has no disk: give no %s", path,
			    wanted->blocks != 0	 ? "size"
			    : wanted->spare != 0 ? "spare"
						 : "views");
	if (super->device_pages < SUPER_PAGES + 1)
		return fail(ENOSPC, "format: %s: too small: %llu pages of 4096 bytes, of 3 needed",
			    path, (unsigned long long)super->device_pages);
	super->spare_pages = 0;
	super->directory_pages = 0;
	return 0;
}

static bool sound_none(const struct super *super)
{
	return super->directory_pages == 0 && super->spare_pages == 0 &&
	       super->check == LAYOUT_CHECK_NONE && super->device_pages >= SUPER_PAGES + 1;
}

static const struct format_type types[] = {
	{ LAYOUT_TYPE_BLK, "blk", plan_blk, sound_blk },
	{ LAYOUT_TYPE_NONE, "none", plan_none, sound_none },
};

#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

const struct format_type *type_by_id(uint32_t id)
{
	for (size_t i = 0; i < TYPE_COUNT; i++)
		if (types[i].id == id)
			return &types[i];
	return NULL;
}

const struct format_type *type_by_name(const char *name)
{
	for (size_t i = 0; i < TYPE_COUNT; i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

const char *type_names(void)
{
	return "blk, none";
}

static const char *const checks[] = {
	[LAYOUT_CHECK_NONE] = "none", [LAYOUT_CHECK_CRC24] = "crc24"
};

const char *check_name(uint32_t check)
{
	return checks[check];
}

int check_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (strcmp(checks[i], name) == 0)
			return (int)i;
	return -1;
}

const char *check_names(void)
{
	return "crc24, none";
}
