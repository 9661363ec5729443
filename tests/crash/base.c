/* SPDX-License-Identifier: BSD-3-Clause */
/* base.c - the devices that runs begin from, and looking at a device as a user would. */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "scenario.h"

static struct base bases[BASES] = {
	[BASE_TIGHT_EMPTY] = { .name = "tight-empty" },
	[BASE_TIGHT_FULL] = { .name = "tight-full" },
	[BASE_ROOMY_FULL] = { .name = "roomy-full" },
};

/* What the blocks of a full base hold: the bytes of an operation that no sequence reaches. */
#define FULL_OP 1000u

static void make(struct base *base, unsigned int pages, unsigned int spare, bool full)
{
	size_t size = (size_t)pages * LAYOUT_PAGE_SIZE;
	struct kmemblk_format_options options = { .disk_size = DISK_SIZE, .spare_pages = spare };
	struct op write = { OP_WRITE, 0, DISK_SIZE };
	struct kmemblk_info info;
	struct kmemblk *handle;
	struct image device;

	image_make(&device, size);
	if (kmemblk_format(device.path, &options) != 0 ||
	    kmemblk_open(device.path, 0, &handle) != 0 || kmemblk_start(handle) != 0)
		fatal("%s", kmemblk_error());
	kmemblk_get_info(handle, &info);
	if (info.blocks != BLOCKS)
		fatal("%zu bytes make %llu blocks", size, (unsigned long long)info.blocks);
	if (full && op_run(handle, &write, FULL_OP) != 0)
		fatal("%s", kmemblk_error());
	kmemblk_close(handle);
	if (read_disk(device.path, base->disk, &info) != 0)
		fatal("%s", kmemblk_error());
	base->size = size;
	memcpy(base->bytes, device.bytes, size);
}

void bases_make(void)
{
	/* Two superblocks and one leaf besides blocks and spare. */
	make(&bases[BASE_TIGHT_EMPTY], 3 + BLOCKS + 1, 1, false);
	make(&bases[BASE_TIGHT_FULL], 3 + BLOCKS + 1, 1, true);
	make(&bases[BASE_ROOMY_FULL], MEDIA_PAGES, 5, true);
}

const struct base *base_get(enum base_kind kind)
{
	return &bases[kind];
}

const struct base *base_by_name(const char *name)
{
	for (unsigned int i = 0; i < BASES; i++)
		if (strcmp(bases[i].name, name) == 0)
			return &bases[i];
	return NULL;
}

struct image *base_device(const struct base *base)
{
	static struct image devices[MEDIA_PAGES + 1];
	struct image *device = &devices[base->size / LAYOUT_PAGE_SIZE];

	if (device->size == 0)
		image_make(device, base->size);
	memcpy(device->bytes, base->bytes, base->size);
	return device;
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
