/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check-map.c - check all that names a page, and the pages of blocks.
 *
 * Every entry names a data page or none (invariant 7), tables are in their places, no page is named twice
 * (5), and nothing stands past the last block.  A bad entry of a map is never changed: what it named is lost
 * or uncertain, and only a person can decide that zeroes will do.  Read-only, such a device still serves all
 * other blocks.
 *
 * Data, when it is asked for: every block holds what was written to it, as its check value tells.  What does
 * not is left, for the same reason.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "api/check.h"
#include "map/ancestry.h"
#include "map/scan.h"
#include "media/guard.h"

/* Damaged entries told one by one; the rest are only counted. */
#define ENTRIES_TOLD 100u

#define NAME_SIZE (LISTING_NAME_SIZE + 128)

struct map_check {
	struct checking *c;
	struct scan scan;
	struct directory_check directory;
	uint64_t entries; /* damaged ones, told or counted */
	uint64_t blocks;  /* likewise */
};

/* ---- entries -------------------------------------------------------------------------------- */

/* Blocks that a table at a place has, for people: "(blocks 1024 to 1535)". */
static void name_blocks(const struct scan_view *view, unsigned int level, uint64_t number,
			char *name, size_t size)
{
	unsigned int shift = LAYOUT_TABLE_SHIFT * level;
	uint64_t end = (number + 1) << shift, blocks = view->map.record.blocks;

	if (end > blocks && number << shift < blocks)
		end = blocks;
	snprintf(name, size, "(blocks %llu to %llu)", (unsigned long long)(number << shift),
		 (unsigned long long)(end - 1));
}

/* What stands at a place: "kmem0: block 7", "kmem0: table 2 of level 1 (blocks 1024 to 1535)". */
static void name_place(const struct scan_view *view, unsigned int level, uint64_t number,
		       char name[NAME_SIZE])
{
	char volume[LISTING_NAME_SIZE], blocks[64];

	ancestry_name(view, volume);
	if (level == 0) {
		snprintf(name, NAME_SIZE, "%s: block %llu", volume, (unsigned long long)number);
		return;
	}
	name_blocks(view, level, number, blocks, sizeof(blocks));
	snprintf(name, NAME_SIZE, "%s: table %llu of level %u %s", volume,
		 (unsigned long long)number, level, blocks);
}

static void damaged_entry(void *opaque, enum map_damage damage, const struct scan_view *view,
			  unsigned int level, uint64_t number, uint64_t page)
{
	struct map_check *m = opaque;
	char name[NAME_SIZE];

	/* Blocks whose page is named twice are told by tell_shared(), which knows all of them. */
	if (damage == DAMAGE_SHARED && level == 0)
		return;
	if (++m->entries > ENTRIES_TOLD)
		return;
	name_place(view, level, number, name);
	switch (damage) {
	case DAMAGE_WILD:
		check_found(
			m->c, KMEMBLK_FINDING_LEFT,
			"%s: its entry names page %llu, which is no data page (those are %llu to "
			"%llu); what it held is lost",
			name, (unsigned long long)page, (unsigned long long)view->map.data_start,
			(unsigned long long)(view->map.data_start + view->map.data_pages - 1));
		break;
	case DAMAGE_TURNED:
		check_found(m->c, KMEMBLK_FINDING_LEFT,
			    "%s: bits of its entry have turned; what it held cannot be found",
			    name);
		break;
	case DAMAGE_UNREADABLE:
		check_found(m->c, KMEMBLK_FINDING_LEFT,
			    "%s: media error at its entry; what it held cannot be found", name);
		break;
	case DAMAGE_SHARED:
		check_found(m->c, KMEMBLK_FINDING_LEFT,
			    "%s: its entry names page %llu, which another entry names too", name,
			    (unsigned long long)page);
		break;
	}
}

/* Call `fn` for each block that has an entry. */
struct each {
	struct map_check *m;
	struct scan_view *view;
	uint64_t leaf;	/* its page */
	uint64_t below; /* the predecessor's leaf there; 0: none */
	uint64_t block;
	uint64_t entry; /* that names the page ... */
	volatile uint64_t
		page; /* ... of the block; 0: none that could be one.  Read after a fault */
};

static uint64_t load_entry(const struct each *e, uint64_t leaf)
{
	return atomic_load_explicit(&map_table(&e->view->map,
					       leaf)[e->block % LAYOUT_TABLE_ENTRIES],
				    memory_order_acquire);
}

static void entry_access(void *opaque)
{
	struct each *e = opaque;

	e->page = 0;
	e->entry = load_entry(e, e->leaf);
	e->page = map_page_of(&e->view->map, e->entry);
	/* The predecessor's block, which is met there.  An entry that only names its page is not all that it is. */
	if (e->below != 0 && e->entry == load_entry(e, e->below))
		e->page = 0;
}

/* Blocks that views share are met once. */
static void each_block(struct map_check *m, void (*fn)(struct each *e))
{
	const struct scan *scan = &m->scan;

	for (uint64_t i = scan->page_count - scan->leaves; i < scan->page_count; i++) {
		const struct scan_page *leaf = &scan->pages[i];
		struct each e = { .m = m,
				  .view = &scan->views[leaf->view],
				  .leaf = leaf->page,
				  .below = leaf->below };
		struct fault fault;

		for (unsigned int j = 0; j < LAYOUT_TABLE_ENTRIES; j++) {
			e.block = (leaf->number << LAYOUT_TABLE_SHIFT) + j;
			(void)guard_run(&m->c->device.pm, entry_access, &e, &fault);
			if (e.page != 0 && e.page != MAP_BAD_PAGE)
				fn(&e);
		}
	}
}

/* Tell a block whose page has other blocks too. */
static void tell_shared(struct each *e)
{
	struct map_check *m = e->m;
	char name[NAME_SIZE];

	if (!bitmap_test(m->scan.twice, e->page - e->view->map.data_start))
		return;
	if (++m->entries > ENTRIES_TOLD)
		return;
	name_place(e->view, 0, e->block, name);
	check_found(
		m->c, KMEMBLK_FINDING_LEFT,
		"%s: its entry names page %llu, which another entry names too; only one of them "
		"can be right",
		name, (unsigned long long)e->page);
}

/* ---- data ----------------------------------------------------------------------------------- */

struct verifying {
	const struct each *e;
	bool right;
};

static void verify_access(void *opaque)
{
	struct verifying *v = opaque;
	const struct map *map = &v->e->view->map;

	v->right =
		crc24_page(map_prefix(map, v->e->block), pm_page(&map->device->pm, v->e->page)) ==
		layout_entry_check(v->e->entry);
}

static void verify_block(struct each *e)
{
	struct map_check *m = e->m;
	struct verifying v = { .e = e };
	const struct kmemblk_check_options *options = m->c->options;
	char name[NAME_SIZE];
	struct fault fault;
	bool readable = guard_run(&m->c->device.pm, verify_access, &v, &fault);

	if (m->c->result->verified % LAYOUT_TABLE_ENTRIES == 0 && options->progress != NULL)
		options->progress(options->progress_opaque, m->c->result->verified, m->scan.used);
	if (readable && v.right) {
		m->c->result->verified++;
		return;
	}
	if (++m->blocks > ENTRIES_TOLD)
		return;
	name_place(e->view, 0, e->block, name);
	check_found(m->c, KMEMBLK_FINDING_LEFT, "%s: page %llu %s: %s", name,
		    (unsigned long long)e->page,
		    readable ? "does not hold what was written there" : "has a media error",
		    record_is_snapshot(&e->view->map.record)
			    ? "a snapshot cannot be written: that stays until it is deleted"
			    : "write or trim the whole block");
}

static void check_data(struct map_check *m)
{
	const struct kmemblk_check_options *options = m->c->options;
	bool checks = m->c->super.check != LAYOUT_CHECK_NONE;

	if (m->c->super.directory_pages > 0 && !checks)
		check_found(m->c, KMEMBLK_FINDING_NOTE,
			    "the device was formatted without check values: its data cannot be "
			    "verified");
	if (checks)
		each_block(m, verify_block);
	if (options->progress != NULL)
		options->progress(options->progress_opaque, 1, 1);
	if (m->blocks > ENTRIES_TOLD)
		check_found(m->c, KMEMBLK_FINDING_LEFT, "data: %llu more damaged blocks",
			    (unsigned long long)(m->blocks - ENTRIES_TOLD));
}

/* ---- both ----------------------------------------------------------------------------------- */

static void tell_all(struct map_check *m)
{
	const struct scan *scan = &m->scan;

	for (unsigned int i = 0; i < scan->view_count; i++)
		m->c->result->entries += scan->views[i].map.record.blocks;
	m->c->result->pages_used = scan->used;
	for (unsigned int i = 0; i < scan->view_count; i++)
		if (scan->views[i].past > 0 && !record_is_snapshot(&scan->views[i].map.record))
			check_found(
				m->c, KMEMBLK_FINDING_NOTE,
				"%s: %llu entries past its end, from when it was made smaller: the "
				"next start clears them",
				scan->views[i].map.record.name,
				(unsigned long long)scan->views[i].past);
	check_directory_end(&m->directory);
	if (scan->named_twice > 0)
		each_block(m, tell_shared);
	if (m->entries > ENTRIES_TOLD)
		check_found(m->c, KMEMBLK_FINDING_LEFT, "map: %llu more damaged entries",
			    (unsigned long long)(m->entries - ENTRIES_TOLD));
	if (scan_found_damage(scan))
		check_found(
			m->c, KMEMBLK_FINDING_NOTE,
			"opened read-only, the device serves every other block; copy them, then "
			"format it anew");
}

int check_map(struct checking *c)
{
	struct map_check m = {
		.c = c,
		.directory = { .c = c },
		.scan = { .bad = &c->bad,
			  .damaged = damaged_entry,
			  .damaged_opaque = &m,
			  .directory_problem = check_directory,
			  .directory_opaque = &m.directory,
			  .progress = c->options->progress,
			  .progress_opaque = c->options->progress_opaque },
	};
	int rc = scan_open(&m.scan, &c->device, &c->super);

	if (rc == 0)
		rc = m.directory.rc;
	if (rc == 0)
		tell_all(&m);
	if (rc == 0 && c->options->flags & KMEMBLK_CHECK_DATA)
		check_data(&m);
	scan_free(&m.scan);
	return rc;
}
