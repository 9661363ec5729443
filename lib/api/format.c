/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * format.c - make a device of a backing object.
 *
 * The order, each step drained before the next, so that a crash leaves what was there before, no
 * device, or the whole new one:
 *
 *  1. Destroy the old superblocks, primary and copy, at their old places and at the new.  A crash in
 *     this step can leave either of them, or both, and the old device is whole then: its directory and
 *     its data are as they were.
 *  2. Clear the directory; with prealloc also zero the data pages.
 *  3. With prealloc write the tables: then the record, then the directory.
 *  4. Write the copy.
 *  5. Write the primary: from here on it is a device.
 *
 * A file that is to be created has no name until all that is done.  Nothing is changed before every
 * reason to refuse has been looked for.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <uuid/uuid.h>

#include "base/error.h"
#include "kmemblk.h"
#include "map/directory.h"
#include "map/record.h"
#include "map/super.h"
#include "media/claim.h"
#include "media/foreign.h"
#include "media/guard.h"

/* Bytes zeroed at a time, and so between two calls of progress. */
#define PIECE_BYTES (64u << 20)

struct formatting {
	struct device device;
	struct super super;
	struct record record; /* of its disk; no blocks: it has none */
	const struct kmemblk_format_options *options;
	uint64_t old_copy; /* page of an old device's copy, 0 for none */
};

static int check_size(const char *path, const char *what, uint64_t bytes)
{
	if (bytes % LAYOUT_PAGE_SIZE == 0 && bytes >> LAYOUT_PAGE_SHIFT <= LAYOUT_MAX_PAGES)
		return 0;
	return fail(EINVAL, "format: %s: %s of %llu bytes: must be a multiple of %u, at most 2 PiB",
		    path, what, (unsigned long long)bytes, LAYOUT_PAGE_SIZE);
}

static int check_options(const char *path, const struct kmemblk_format_options *options)
{
	int rc;

	if (options->flags &
	    ~(KMEMBLK_FORMAT_FORCE | KMEMBLK_FORMAT_PREALLOC | KMEMBLK_FORMAT_OWNED))
		return fail(EINVAL, "format: %s: unknown flags 0x%x", path, options->flags);
	if (options->type != NULL && type_by_name(options->type) == NULL)
		return fail(EINVAL, "format: %s: no type \"%s\"; there are: %s", path,
			    options->type, type_names());
	if (options->check != NULL && check_by_name(options->check) == -1)
		return fail(EINVAL, "format: %s: no check values \"%s\"; there are: %s", path,
			    options->check, check_names());
	if (options->label != NULL && strlen(options->label) >= LAYOUT_LABEL_SIZE)
		return fail(EINVAL, "format: %s: the label is longer than %u bytes", path,
			    LAYOUT_LABEL_SIZE - 1);
	rc = check_size(path, "a device", options->create_size);
	return rc == 0 ? check_size(path, "a disk", options->disk_size) : rc;
}

/* A type without blocks has nothing to check. */
static int plan_check(struct super *super, const char *check, const char *path)
{
	bool none = strcmp(super->type->name, "none") == 0;

	if (check == NULL)
		check = none ? "none" : "crc24";
	super->check = (uint32_t)check_by_name(check);
	if (none && super->check != LAYOUT_CHECK_NONE)
		return fail(EINVAL, "format: %s: type none has no blocks to check: give no check",
			    path);
	return 0;
}

static int plan_disk(struct formatting *f, uint64_t blocks, const char *path)
{
	struct record *record = &f->record;
	int node = f->device.numa_node;

	record->blocks = blocks;
	record->flags = LAYOUT_RECORD_DEFAULT;
	record->height = record_height(blocks);
	record->created = f->super.created;
	uuid_generate(record->uuid);
	snprintf(record->name, sizeof(record->name), "kmem%d", node < 0 ? 0 : node);
	if (getrandom(&record->family, sizeof(record->family), 0) != sizeof(record->family))
		return fail_errno(errno, "format: %s: no random number", path);
	return 0;
}

/* Decide how the device will be divided. */
static int plan(struct formatting *f, const char *path)
{
	const struct kmemblk_format_options *options = f->options;
	const char *type = options->type == NULL ? "blk" : options->type;
	struct division division = { .blocks = options->disk_size >> LAYOUT_PAGE_SHIFT,
				     .spare = options->spare_pages,
				     .views = options->views };
	struct super *super = &f->super;
	int rc;

	*super = (struct super){
		.type = type_by_name(type),
		.device_pages = f->device.size >> LAYOUT_PAGE_SHIFT,
		.directory_start = 1,
		.generation = 1,
		.created = (uint64_t)time(NULL),
	};
	uuid_generate(super->uuid);
	rc = plan_check(super, options->check, path);
	if (rc != 0)
		return rc;
	if (options->label != NULL)
		memcpy(super->label, options->label, strlen(options->label));
	if (super->device_pages > LAYOUT_MAX_PAGES)
		super->device_pages = LAYOUT_MAX_PAGES;
	rc = super->type->plan(super, &division, path);
	return rc == 0 && division.blocks > 0 ? plan_disk(f, division.blocks, path) : rc;
}

/* What the device holds besides a sound primary: 1 with words for it, 0, or -errno with message. */
static int find_other_contents(const struct device *device, enum super_state primary, char *words,
			       size_t size)
{
	uint64_t last = super_last_page(device);
	struct super_verdict verdict;
	struct super copy;
	char name[48];
	int rc;

	/* First: what was made over a device leaves the copy at its end behind. */
	rc = foreign_find(device, name, sizeof(name));
	if (rc > 0)
		snprintf(words, size, "holds %s", name);
	if (rc != 0)
		return rc;
	if (primary != SUPER_ABSENT || super_read(device, last, &copy, &verdict) == SUPER_SOUND)
		return 1;
	rc = foreign_find_contents(device, name, sizeof(name));
	if (rc > 0)
		snprintf(words, size, "is %s", name);
	return rc;
}

/* Remember where an old device's copy is, and refuse to lose contents unless forced. */
static int check_contents(struct formatting *f)
{
	const struct device *device = &f->device;
	char words[64] = "holds a kmemblk device already";
	struct super_verdict verdict;
	enum super_state primary;
	struct super old;
	int rc = 1;

	primary = super_read(device, 0, &old, &verdict);
	if (primary == SUPER_SOUND)
		f->old_copy = super_copy_page(&old);
	if (f->options->flags & KMEMBLK_FORMAT_FORCE)
		return 0;
	if (primary != SUPER_SOUND && primary != SUPER_UNSUPPORTED)
		rc = find_other_contents(device, primary, words, sizeof(words));
	if (rc > 0)
		return fail(EEXIST, "format: %s: %s; to lose its contents, add --force",
			    device->path, words);
	return rc;
}

/* Zero and flush, in pieces; with_progress tells the caller's function. */
static int zero_pages(struct formatting *f, uint64_t page, uint64_t count, enum pm_order order,
		      bool with_progress)
{
	const struct pm *pm = &f->device.pm;
	uint64_t total = count << LAYOUT_PAGE_SHIFT;
	int rc;

	for (uint64_t at = 0; at < total; at += PIECE_BYTES) {
		size_t len = total - at < PIECE_BYTES ? (size_t)(total - at) : PIECE_BYTES;

		if (with_progress && f->options->progress != NULL)
			f->options->progress(f->options->progress_opaque, at, total);
		rc = guard_write(&f->device, pm_page(pm, page) + at, NULL, len, order, NULL);
		if (rc != 0)
			return fail_errno(-rc, "format: %s: zero pages from %llu on",
					  f->device.path,
					  (unsigned long long)(page + (at >> LAYOUT_PAGE_SHIFT)));
	}
	if (with_progress && f->options->progress != NULL)
		f->options->progress(f->options->progress_opaque, total, total);
	return 0;
}

static int allocate(struct formatting *f, uint64_t page, uint64_t count)
{
	int rc = device_allocate(&f->device, page << LAYOUT_PAGE_SHIFT, count << LAYOUT_PAGE_SHIFT);

	return rc == 0 ? 0 : fail_errno(-rc, "format: %s: storage", f->device.path);
}

static int destroy_supers(struct formatting *f)
{
	uint64_t copy = super_copy_page(&f->super);
	int rc;

	/*
	 * Storage first: a store to a hole of a full file system would be a fault.  And for all of
	 * them before any is destroyed, so that an old device stays one if there is no room.
	 */
	rc = allocate(f, 0, 1);
	if (rc == 0)
		rc = allocate(f, copy, 1);
	if (rc == 0 && f->old_copy != 0)
		rc = allocate(f, f->old_copy, 1);
	if (rc == 0)
		rc = zero_pages(f, 0, 1, PM_FORMAT_DESTROY, false);
	if (rc == 0)
		rc = zero_pages(f, copy, 1, PM_FORMAT_DESTROY, false);
	if (rc == 0 && f->old_copy != 0)
		rc = zero_pages(f, f->old_copy, 1, PM_FORMAT_DESTROY, false);
	/* Gone before the directory changes, so that none can describe a half-cleared one. */
	pm_drain(&f->device.pm, PM_FORMAT_DESTROY);
	return rc;
}

/* Make the directory read as zeroes: by taking its storage away, and the data's, or by stores. */
static int clear_directory(struct formatting *f)
{
	uint64_t first = f->super.directory_start;
	int rc = device_punch_durably(&f->device, first << LAYOUT_PAGE_SHIFT,
				      (super_copy_page(&f->super) - first) << LAYOUT_PAGE_SHIFT);

	if (rc == -EOPNOTSUPP)
		rc = zero_pages(f, first, 2 * f->super.directory_pages, PM_FORMAT_CLEAR, false);
	return rc;
}

/*
 * Where things are put: the record, with prealloc the tables, level by level, and the blocks.  The page of a
 * table, or of a block as level 0.
 */
static uint64_t place(const struct formatting *f, unsigned int level, uint64_t number)
{
	uint64_t page = super_data_start(&f->super) + 1;

	for (unsigned int below = 1; below != level && below <= f->record.height; below++)
		page += record_tables(f->record.blocks, below);
	return page + number;
}

/* The entry of a block of zeroes, or of the table at a place. */
static uint64_t entry_of(const struct formatting *f, unsigned int level, uint64_t number)
{
	static const uint8_t zeroes[LAYOUT_PAGE_SIZE];
	uint64_t page = place(f, level, number), family = f->record.family;
	uint32_t value = 0;

	if (level > 0)
		value = crc24_place(family, page, level, number);
	else if (f->super.check != LAYOUT_CHECK_NONE)
		value = crc24_page((struct crc24_prefix){ family, number }, zeroes);
	return layout_pack_entry(page, value);
}

/* The table at a place, with all that it names. */
static int write_table(struct formatting *f, unsigned int level, uint64_t number)
{
	uint64_t below = record_tables(f->record.blocks, level - 1);
	uint64_t first = number << LAYOUT_TABLE_SHIFT, entry[LAYOUT_TABLE_ENTRIES];
	int rc;

	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++)
		entry[i] = first + i < below ? entry_of(f, level - 1, first + i) : 0;
	rc = guard_write(&f->device, pm_page(&f->device.pm, place(f, level, number)), entry,
			 sizeof(entry), PM_FORMAT_ENTRIES, NULL);
	return rc == 0 ? 0 : fail_errno(-rc, "format: %s: table", f->device.path);
}

/* Give every block its page. */
static int write_tables(struct formatting *f)
{
	int rc = 0;

	for (unsigned int level = 1; level <= f->record.height; level++)
		for (uint64_t n = 0; rc == 0 && n < record_tables(f->record.blocks, level); n++)
			rc = write_table(f, level, n);
	/* Tables before the record says that they are there. */
	pm_drain(&f->device.pm, PM_FORMAT_ENTRIES);
	return rc;
}

/* The record, and the directory that names it. */
static int write_disk(struct formatting *f, bool prealloc)
{
	uint64_t page = super_data_start(&f->super), entry = directory_entry(page, 0);
	uint64_t start = f->super.directory_start, root = 0;
	int rc;

	if (f->record.blocks == 0)
		return 0;
	if (prealloc)
		root = entry_of(f, f->record.height, 0);
	rc = allocate(f, start, page + 1 - start);
	if (rc == 0 && prealloc)
		rc = write_tables(f);
	if (rc == 0)
		rc = record_write(&f->device, page, &f->record, root, PM_FORMAT_ENTRIES, NULL);
	for (uint64_t at = start; rc == 0 && at < page; at += f->super.directory_pages) {
		rc = guard_write(&f->device, pm_page(&f->device.pm, at), &entry, sizeof(entry),
				 PM_FORMAT_ENTRIES, NULL);
		if (rc != 0)
			return fail_errno(-rc, "format: %s: directory", f->device.path);
	}
	/* The directory before a superblock says that it is there. */
	pm_drain(&f->device.pm, PM_FORMAT_ENTRIES);
	return rc;
}

static int write_all(struct formatting *f)
{
	const struct pm *pm = &f->device.pm;
	bool prealloc = f->options->flags & KMEMBLK_FORMAT_PREALLOC;
	uint64_t data = super_data_start(&f->super);
	int rc;

	rc = destroy_supers(f);
	if (rc == 0)
		rc = clear_directory(f);
	if (rc == 0 && prealloc)
		/* Also the spare, which overwrites will need. */
		rc = allocate(f, f->super.directory_start, super_copy_page(&f->super) - 1);
	if (rc == 0 && prealloc)
		rc = zero_pages(f, data, super_data_pages(&f->super), PM_FORMAT_CLEAR, true);
	if (rc != 0)
		return rc;
	/* Clear before entries name the pages, and before a superblock says it is a directory. */
	pm_drain(pm, PM_FORMAT_CLEAR);
	rc = write_disk(f, prealloc);
	if (rc == 0)
		rc = super_write(&f->device, super_copy_page(&f->super), &f->super, PM_FORMAT_COPY);
	if (rc == 0)
		rc = super_write(&f->device, 0, &f->super, PM_FORMAT_PRIMARY);
	return rc;
}

int kmemblk_format(const char *path, const struct kmemblk_format_options *options)
{
	static const struct kmemblk_format_options defaults;
	struct formatting f = { .options = options == NULL ? &defaults : options };
	bool create = f.options->create_size != 0;
	int rc;

	rc = check_options(path, f.options);
	if (rc == 0)
		rc = guard_install();
	if (rc == 0)
		rc = create ? device_create(&f.device, path, f.options->create_size,
					    f.options->flags & KMEMBLK_FORMAT_OWNED
						    ? DEVICE_OWNED
						    : DEVICE_ANYBODYS)
			    : device_open(&f.device, path, false);
	if (rc != 0)
		return rc;
	rc = claim_take(&f.device);
	if (rc == 0)
		rc = claim_check_borrowers(&f.device);
	if (rc == 0)
		rc = plan(&f, path);
	if (rc == 0)
		rc = device_map(&f.device);
	if (rc == 0 && !create)
		rc = check_contents(&f);
	if (rc == 0)
		rc = write_all(&f);
	if (rc == 0 && create)
		rc = device_publish(&f.device);
	device_close(&f.device);
	return rc;
}
