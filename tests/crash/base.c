/* SPDX-License-Identifier: BSD-3-Clause */
/* base.c - the devices that runs begin from, and looking at a device as a user would. */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "io/handle.h"
#include "ops.h"
#include "pages/cache.h"
#include "scenario.h"
#include "stage.h"

/* Two superblocks and one leaf besides blocks and spare. */
#define TIGHT_PAGES (3 + BLOCKS + 1)

static struct base bases[] = {
	/* One spare page: pages are reused at once. */
	{ .name = "tight-empty", .pages = TIGHT_PAGES, .spare = 1 },
	{ .name = "tight-full", .pages = TIGHT_PAGES, .spare = 1, .filled = BLOCKS },
	/* No request waits for another's pages or reservations. */
	{ .name = "roomy-full", .pages = MEDIA_PAGES, .spare = 5, .filled = BLOCKS },
	/* A leaf that one trim empties. */
	{ .name = "roomy-one", .pages = MEDIA_PAGES, .spare = 5, .filled = 1 },
	/* Full: no page for a third block, though the disk has four. */
	{ .name = "worn", .pages = TIGHT_PAGES, .spare = 1, .filled = 2, .bad = 2 },
	/* Its file system is full, but for the one spare page that an open asks for. */
	{ .name = "no-room",
	  .pages = TIGHT_PAGES,
	  .spare = 1,
	  .filled = 2,
	  .holes = true,
	  .terms = { .limited = true, .room = 1 } },
	/* It has room for the leaf, a block and its spare. */
	{ .name = "little-room",
	  .pages = TIGHT_PAGES,
	  .spare = 1,
	  .holes = true,
	  .terms = { .limited = true, .room = 3 } },
};

#define BASES (sizeof(bases) / sizeof(bases[0]))

/* What the blocks of a full base hold: the bytes of an operation that no sequence reaches. */
#define FILL_OP 1000u

/* How many pages are put by would else depend on how many processors there are. */
static void use_one_slot(struct kmemblk *handle)
{
	handle->pool.cache_count = 1;
}

static void make(struct base *base)
{
	struct kmemblk_format_options options = { .disk_size = DISK_SIZE,
						  .spare_pages = base->spare };
	struct op write = { OP_WRITE, 0, base->filled * BLOCK_SIZE };
	struct kmemblk_info info;
	struct kmemblk *handle;
	struct image device;

	base->size = (size_t)base->pages * LAYOUT_PAGE_SIZE;
	image_make(&device, base->size);
	if (kmemblk_format(device.path, &options) != 0 ||
	    kmemblk_open(device.path, 0, &handle) != 0)
		fatal("%s", kmemblk_error());
	use_one_slot(handle);
	if (kmemblk_start(handle) != 0)
		fatal("%s", kmemblk_error());
	kmemblk_get_info(handle, &info);
	if (info.blocks != BLOCKS)
		fatal("%zu bytes make %llu blocks", base->size, (unsigned long long)info.blocks);
	if (op_run(handle, &write, FILL_OP) != 0)
		fatal("%s", kmemblk_error());
	kmemblk_close(handle);
	if (read_disk(device.path, base->disk, &info) != 0)
		fatal("%s", kmemblk_error());
	memcpy(base->bytes, device.bytes, base->size);
	image_free(&device);
}

void bases_make(void)
{
	for (unsigned int i = 0; i < BASES; i++) {
		fixed_begin(i);
		make(&bases[i]);
	}
}

const struct base *base_get(const char *name)
{
	for (unsigned int i = 0; i < BASES; i++)
		if (strcmp(bases[i].name, name) == 0)
			return &bases[i];
	return NULL;
}

static struct image *device_of(const struct base *base)
{
	static struct image devices[MEDIA_PAGES + 1];
	struct image *device = &devices[base->size / LAYOUT_PAGE_SIZE];

	if (device->size == 0)
		image_make(device, base->size);
	return device;
}

struct image *base_device(const struct base *base)
{
	struct image *device = device_of(base);

	memcpy(device->bytes, base->bytes, base->size);
	if (base->holes)
		image_punch(device);
	return device;
}

/* Have so many free pages go out of use. */
static void wear(struct kmemblk *handle, unsigned int bad)
{
	uint64_t page[MEDIA_PAGES];
	struct near near = { .what = "wear" };

	for (unsigned int i = 0; i < bad; i++)
		if (cache_take(&handle->pool, 1, &page[i], &near) != 1)
			fatal("%s", kmemblk_error());
	for (unsigned int i = 0; i < bad; i++)
		pool_mark_bad(&handle->pool, page[i]);
	pool_put(&handle->pool, page, bad);
}

static struct kmemblk *open_recorded(const struct base *base, const char *path)
{
	struct kmemblk *handle;

	ops_begin();
	if (kmemblk_open(path, 0, &handle) != 0)
		fatal("%s", kmemblk_error());
	/* Storage is taken away when the scenario says so, not when a thread gets round to it. */
	handle->pool.keeper.punch = false;
	use_one_slot(handle);
	stage_watch(handle);
	if (kmemblk_start(handle) != 0)
		fatal("%s", kmemblk_error());
	stage_reclaim();
	wear(handle, base->bad);
	return handle;
}

struct kmemblk *base_open(const struct base *base, struct trace *trace)
{
	recorder_start(trace, &base->terms);
	return open_recorded(base, base_device(base)->path);
}

struct kmemblk *base_open_again(const struct base *base)
{
	recorder_go_on();
	return open_recorded(base, device_of(base)->path);
}

int read_disk(const char *path, uint8_t *disk, struct kmemblk_info *info)
{
	struct kmemblk *handle;
	int rc = kmemblk_open(path, KMEMBLK_OPEN_READONLY, &handle);

	if (rc != 0)
		return rc;
	kmemblk_get_info(handle, info);
	if (info->size_bytes == DISK_SIZE)
		rc = kmemblk_start(handle);
	if (rc == 0 && info->size_bytes == DISK_SIZE)
		rc = kmemblk_read(handle, disk, DISK_SIZE, 0);
	kmemblk_close(handle);
	return rc;
}

struct findings {
	char *why;
	size_t size;
	bool any;
};

static void note_finding(void *opaque, enum kmemblk_finding_kind kind, const char *text)
{
	struct findings *findings = opaque;

	if (kind == KMEMBLK_FINDING_NOTE)
		return;
	snprintf(findings->why, findings->size, "check: %.200s", text);
	findings->any = true;
}

bool check_clean(const char *path, char *why, size_t size)
{
	struct findings findings = { why, size, false };
	struct kmemblk_check_options options = { .finding = note_finding,
						 .finding_opaque = &findings };
	struct kmemblk_check_result result;

	if (kmemblk_check(path, &options, &result) != 0) {
		snprintf(why, size, "%.200s", kmemblk_error());
		return false;
	}
	return !findings.any;
}
