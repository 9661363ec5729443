/* SPDX-License-Identifier: BSD-3-Clause */
/* base.c - the devices that runs begin from, and looking at a device as a user would. */
#include "config.h"

#include <string.h>

#include "common/audit.h"
#include "fatal.h"
#include "io/volume.h"
#include "map/scan.h"
#include "mutate.h"
#include "ops.h"
#include "pages/cache.h"
#include "scenario.h"
#include "stage.h"

/* Two superblocks, the directory twice, a record and a leaf, besides blocks and spare. */
#define TIGHT_PAGES (4 + 2 + BLOCKS + 1)
#define ROOMY_PAGES (TIGHT_PAGES + 8)
#define MOST_PAGES  (MEDIA_PAGES - 4) /* it may grow */

/* Blocks of which each begins another leaf, and the last another table above that. */
#define TWO_HIGH                                                                                   \
	{                                                                                          \
		0, 511, 512, 1023                                                                  \
	}
#define THREE_HIGH                                                                                 \
	{                                                                                          \
		0, 512, 512 * 512 - 1, 512 * 512                                                   \
	}

static struct base bases[] = {
	/* One spare page: pages are reused at once. */
	{ .name = "tight-empty", .pages = TIGHT_PAGES, .spare = 1 },
	{ .name = "tight-full", .pages = TIGHT_PAGES, .spare = 1, .filled = BLOCKS },
	/* No request waits for another's pages or reservations. */
	{ .name = "roomy-full", .pages = ROOMY_PAGES, .spare = 5, .filled = BLOCKS },
	/* A leaf that one trim empties. */
	{ .name = "roomy-one", .pages = ROOMY_PAGES, .spare = 5, .filled = 1 },
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
	/* Disks that are larger than the device, of two levels, with one table more, and of three, with six more. */
	{ .name = "two-empty",
	  .pages = TIGHT_PAGES + 2,
	  .spare = 1,
	  .setup = "delete:kmem0 create:two:1024",
	  .at = TWO_HIGH },
	{ .name = "two-one",
	  .pages = ROOMY_PAGES + 2,
	  .spare = 5,
	  .filled = 1,
	  .setup = "delete:kmem0 create:two:1024",
	  .at = TWO_HIGH },
	{ .name = "three-empty",
	  .pages = ROOMY_PAGES + 5,
	  .spare = 4,
	  .setup = "delete:kmem0 create:three:262145",
	  .at = THREE_HIGH },
	{ .name = "three-one",
	  .pages = TIGHT_PAGES + 6,
	  .spare = 1,
	  .filled = 1,
	  .setup = "delete:kmem0 create:three:262145",
	  .at = THREE_HIGH },
	{ .name = "three-full",
	  .pages = TIGHT_PAGES + 6,
	  .spare = 1,
	  .filled = BLOCKS,
	  .setup = "delete:kmem0 create:three:262145",
	  .at = THREE_HIGH },
	/* Entries in more than one line of the directory. */
	{ .name = "many",
	  .pages = TIGHT_PAGES + 8,
	  .spare = 1,
	  .filled = BLOCKS,
	  .setup = "create:a:1 create:b:1 create:c:1 create:d:1 create:e:1 create:f:1 "
		   "create:g:1 create:h:1" },
	/* Volumes. */
	{ .name = "none", .pages = ROOMY_PAGES, .spare = 2, .setup = "delete:kmem0" },
	{ .name = "two",
	  .pages = MOST_PAGES,
	  .spare = 2,
	  .setup = "delete:kmem0 create:a:2 create:b:513 write:a:1 write:b:512" },
	{ .name = "deep",
	  .pages = MOST_PAGES,
	  .spare = 2,
	  .setup = "delete:kmem0 create:a:262145 write:a:0 write:a:512 write:a:262144" },
	{ .name = "bare", .pages = ROOMY_PAGES, .spare = 2, .setup = "delete:kmem0 create:a:600" },
	/* A snapshot, with what its volume has replaced, and what both have. */
	{ .name = "kept",
	  .pages = MOST_PAGES,
	  .spare = 2,
	  .setup =
		  "delete:kmem0 create:a:513 write:a:0 write:a:1 write:a:512 snapshot:a@x write:a:0" },
	/* One that is shared whole, in two that are. */
	{ .name = "shared",
	  .pages = MOST_PAGES,
	  .spare = 2,
	  .setup =
		  "delete:kmem0 create:a:600 write:a:0 write:a:512 snapshot:a@x write:a:1 snapshot:a@y" },
	/* The same, low and with room, for threads: of each it must be known that it is possible. */
	{ .name = "kept-low",
	  .pages = MOST_PAGES,
	  .spare = 2,
	  .setup = "delete:kmem0 create:a:2 write:a:0 write:a:1 snapshot:a@x write:a:0" },
	{ .name = "shared-low",
	  .pages = MOST_PAGES,
	  .spare = 2,
	  .setup = "delete:kmem0 create:a:2 write:a:0 snapshot:a@x write:a:1 snapshot:a@y" },
	{ .name = "shared-two",
	  .pages = MOST_PAGES,
	  .spare = 2,
	  .setup = "delete:kmem0 create:a:513 write:a:0 snapshot:a@x" },
	/* Full, but for two leaves in which no block is left: for who needs a page they are given up. */
	{ .name = "leaves",
	  .pages = 4 + 5 + 3 + 1,
	  .spare = 1,
	  .setup = "delete:kmem0 create:a:512 create:b:600 write:b:0 trim:b:0 write:b:512 "
		   "trim:b:512 write:a:0 write:a:1" },
	/* The same, one of them a copy of a snapshot's, which has a block in it. */
	{ .name = "kept-leaves",
	  .pages = 4 + 12 + 1,
	  .spare = 1,
	  .setup = "delete:kmem0 create:a:600 write:a:0 write:a:512 snapshot:a@x trim:a:512 "
		   "create:b:2" },
	/* Full, but for what a snapshot of a volume needs if that is thin. */
	{ .name = "brim",
	  .pages = 4 + 7 + 2 + 1,
	  .spare = 1,
	  .setup = "delete:kmem0 create:a:2 write:a:0 write:a:1 create:b:2 write:b:0" },
	/* Full, with a snapshot that its volume shares all with; and the same, but for what that is thin by. */
	{ .name = "kept-full",
	  .pages = 4 + 11 + 1,
	  .spare = 1,
	  .setup = "delete:kmem0 create:a:2 write:a:0 write:a:1 snapshot:a@x create:b:2 "
		   "write:b:0" },
	{ .name = "thin-full",
	  .pages = 4 + 11 + 1,
	  .spare = 1,
	  .setup = "delete:kmem0 create:a:2 write:a:0 write:a:1 snapshot:a@x create:b:2 "
		   "write:b:0 thin:a" },
	/* Full: what needs no new page works, and nothing else. */
	{ .name = "no-page",
	  .pages = 4 + 7 + 1,
	  .spare = 1,
	  .setup = "delete:kmem0 create:a:600 write:a:0 write:a:512 write:a:1" },
};

#define BASES (sizeof(bases) / sizeof(bases[0]))

/* What the blocks of a full base hold: the bytes of an operation that no sequence reaches. */
#define FILL_OP 1000u

/* How many pages are put by would else depend on how many processors there are. */
static void use_one_slot(struct kmemblk *handle)
{
	handle->pool.cache_count = 1;
}

static void place_blocks(struct base *base)
{
	for (unsigned int i = 0; base->at[BLOCKS - 1] == 0 && i < BLOCKS; i++)
		base->at[i] = i;
	ops_place(base->at);
}

/* Do the calls that make its volumes, and have the model do the same. */
static void set_up(struct base *base, struct kmemblk *handle)
{
	char *words = strdup(base->setup), *save, *word = strtok_r(words, " ", &save);
	unsigned int number = FILL_OP;
	struct call call;

	call_parse("create:kmem0:1", &call);
	call_apply(&call, number, &base->world);
	for (; word != NULL; word = strtok_r(NULL, " ", &save), number++) {
		if (!call_parse(word, &call))
			fatal("no such call: %s", word);
		if (call_run(handle, &call, number) != 0)
			fatal("%s: %s", word, kmemblk_error());
		call_note(handle, &call);
		call_apply(&call, number, &base->world);
		/* Else it would depend on who is faster which pages the next one takes. */
		stage_reclaim();
	}
	free(words);
}

/* Pages that nothing names hold something: it must not be taken for a table, a record or a block. */
static void make_dirty(struct base *base, const char *path)
{
	struct scan scan = { .bad = NULL };
	struct kmemblk *handle;
	uint64_t first;

	if (kmemblk_open(path, KMEMBLK_OPEN_READONLY, &handle) != 0 ||
	    scan_open(&scan, &handle->device, &handle->super) != 0)
		fatal("%s", kmemblk_error());
	first = super_data_start(&handle->super);
	for (uint64_t i = 0; i < super_data_pages(&handle->super); i++)
		if (!bitmap_test(scan.named, i))
			memset(base->bytes + (first + i) * LAYOUT_PAGE_SIZE, 0x5a,
			       LAYOUT_PAGE_SIZE);
	scan_free(&scan);
	kmemblk_close(handle);
}

static void make(struct base *base)
{
	struct kmemblk_format_options options = { .disk_size = DISK_SIZE,
						  .spare_pages = base->spare };
	struct op write = { OP_WRITE, 0, base->filled * BLOCK_SIZE };
	struct kmemblk_info info;
	struct kmemblk *handle;
	struct image device;

	/* It makes way for a larger one. */
	if (base->setup != NULL && strstr(base->setup, "delete:kmem0") != NULL)
		options.disk_size = BLOCK_SIZE;
	place_blocks(base);
	base->size = (size_t)base->pages * LAYOUT_PAGE_SIZE;
	image_make(&device, base->size);
	if (kmemblk_format(device.path, &options) != 0 ||
	    kmemblk_open(device.path, 0, &handle) != 0)
		fatal("%s", kmemblk_error());
	use_one_slot(handle);
	stage_watch(handle);
	if (kmemblk_start(handle) != 0)
		fatal("%s", kmemblk_error());
	if (base->setup != NULL)
		set_up(base, handle);
	if (base->filled > 0 && op_run(handle, &write, FILL_OP) != 0)
		fatal("%s: %s", base->name, kmemblk_error());
	kmemblk_close(handle);
	if (read_disk(device.path, base->disk, &info) != 0)
		fatal("%s", kmemblk_error());
	memcpy(base->bytes, device.bytes, base->size);
	if (!base->holes)
		make_dirty(base, device.path);
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

	ops_place(base->at);
	memcpy(device->bytes, base->bytes, base->size);
	if (base->holes)
		image_punch(device);
	return device;
}

struct image *base_device_now(const struct base *base)
{
	return device_of(base);
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

bool counts_agree(const char *path, const struct kmemblk_info *counted, char *why, size_t size)
{
	struct kmemblk_info found;

	if (kmemblk_probe(path, &found) != 0) {
		snprintf(why, size, "%.200s", kmemblk_error());
		return false;
	}
	if (counted->pages_used == found.pages_used &&
	    counted->pages_tables == found.pages_tables &&
	    counted->pages_free + counted->pages_quarantined == found.pages_free &&
	    counted->pages_used + counted->pages_tables + counted->pages_free +
			    counted->pages_quarantined ==
		    found.data_pages)
		return true;
	snprintf(why, size,
		 "counted: %llu used, %llu tables, %llu free, %llu bad; found: %llu, %llu, %llu",
		 (unsigned long long)counted->pages_used, (unsigned long long)counted->pages_tables,
		 (unsigned long long)counted->pages_free,
		 (unsigned long long)counted->pages_quarantined,
		 (unsigned long long)found.pages_used, (unsigned long long)found.pages_tables,
		 (unsigned long long)found.pages_free);
	return false;
}

void base_close(const struct base *base, struct kmemblk *handle)
{
	struct kmemblk_info counted;
	char why[256];

	/* Most mutants make it otherwise, and that is for their images to show. */
	if ((mutate.kind == MUTANT_NONE || mutate.kind >= MUTANT_WRITE_SHARED) &&
	    !audit(handle, why, sizeof(why)))
		fatal("%s", why);
	kmemblk_get_info(handle, &counted);
	kmemblk_close(handle);
	if (mutate.kind == MUTANT_NONE &&
	    !counts_agree(device_of(base)->path, &counted, why, sizeof(why)))
		fatal("%s", why);
}

int read_disk(const char *path, uint8_t *disk, struct kmemblk_info *info)
{
	struct kmemblk *handle;
	int rc = kmemblk_open(path, KMEMBLK_OPEN_READONLY, &handle);

	if (rc != 0)
		return rc;
	kmemblk_get_info(handle, info);
	if (info->size_bytes == ops_disk_size()) {
		rc = kmemblk_start(handle);
		if (rc == 0)
			rc = ops_read(handle, disk);
	}
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
