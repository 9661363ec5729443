/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check.c - verify all that the media can show, and correct what needs no guess.
 *
 * Superblocks: both are whole and say the same.  One can be rewritten from the other, unless
 * something else has been put on the device meanwhile: mkfs over page 0 leaves our copy behind,
 * and bringing the primary back would destroy the new file system.
 *
 * Index: every entry names a data page or none (invariant 7), no page is named twice (5), entries
 * past the last block are zero.  A bad entry is never changed: its block's contents are lost or
 * uncertain, and only a person can decide that zeroes will do.  Read-only, such a device still
 * serves all other blocks.
 *
 * Data, when it is asked for: every block holds what was written to it, as its check value tells.  What does
 * not is left, for the same reason.
 *
 * The same code runs behind the command, after every simulated crash, and at the end of every
 * integration test.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "map/index.h"
#include "media/badblocks.h"
#include "media/claim.h"
#include "media/foreign.h"
#include "media/guard.h"

/* Damaged entries told one by one; the rest are only counted. */
#define ENTRIES_TOLD 100u

struct checking {
	struct device device;
	struct super super;
	struct index index;
	const struct kmemblk_check_options *options;
	struct kmemblk_check_result *result;
	bool repair;
	uint64_t damaged;	 /* entries told or counted */
	uint64_t blocks_damaged; /* likewise */
};

static void found(struct checking *c, enum kmemblk_finding_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void found(struct checking *c, enum kmemblk_finding_kind kind, const char *format, ...)
{
	char text[512];
	va_list args;

	switch (kind) {
	case KMEMBLK_FINDING_NOTE:
		break;
	case KMEMBLK_FINDING_CORRECTED:
		c->result->corrected++;
		break;
	case KMEMBLK_FINDING_CORRECTABLE:
		c->result->correctable++;
		break;
	case KMEMBLK_FINDING_LEFT:
		c->result->left++;
		break;
	}
	if (c->options->finding == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	c->options->finding(c->options->finding_opaque, kind, text);
}

/* ---- superblocks ---------------------------------------------------------------------------- */

/* Before any correction: that this version knows all it would be writing about. */
static int may_repair(const struct checking *c)
{
	if ((c->super.ro_compat & ~LAYOUT_KNOWN_RO_COMPAT) == 0)
		return 0;
	return fail(EMEDIUMTYPE,
		    "repair: %s: has features this version can only read (ro-compat 0x%llx)",
		    c->device.path, (unsigned long long)c->super.ro_compat);
}

/* Rewrite the superblock at `page`, or say that repair would. */
static int restore(struct checking *c, uint64_t page, const char *which, const char *reason,
		   const char *from)
{
	int rc;

	if (!c->repair) {
		found(c, KMEMBLK_FINDING_CORRECTABLE,
		      "%s (page %llu): %s; the %s is whole: add --repair to write it anew from "
		      "there",
		      which, (unsigned long long)page, reason, from);
		return 0;
	}
	rc = may_repair(c);
	if (rc != 0)
		return rc;
	rc = device_allocate(&c->device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE);
	if (rc != 0)
		return fail_errno(-rc, "repair: %s: storage", c->device.path);
	rc = super_write(&c->device, page, &c->super, PM_REPAIR_SUPER);
	if (rc == 0)
		found(c, KMEMBLK_FINDING_CORRECTED, "%s (page %llu): %s; written anew from the %s",
		      which, (unsigned long long)page, reason, from);
	return rc;
}

/* True if two superblocks put the same blocks in the same places. */
static bool same_disk(const struct super *a, const struct super *b)
{
	return memcmp(a->uuid, b->uuid, sizeof(a->uuid)) == 0 && a->type == b->type &&
	       a->device_pages == b->device_pages && a->index_start == b->index_start &&
	       a->index_pages == b->index_pages && a->blocks == b->blocks && a->check == b->check &&
	       a->family == b->family;
}

/* The primary is sound and in c->super: look at the copy. */
static int check_copy(struct checking *c)
{
	uint64_t page = super_copy_page(&c->super);
	struct super_verdict verdict;
	struct super copy;

	switch (super_read(&c->device, page, &copy, &verdict)) {
	case SUPER_SOUND:
		break;
	case SUPER_UNSUPPORTED:
		found(c, KMEMBLK_FINDING_LEFT, "superblock copy (page %llu): %s",
		      (unsigned long long)page, verdict.reason);
		return 0;
	default:
		return restore(c, page, "superblock copy", verdict.reason, "primary");
	}
	if (super_same(&copy, &c->super))
		return 0;
	if (same_disk(&copy, &c->super) && copy.generation > c->super.generation) {
		/*
		 * The copy is written first: a rewrite was cut between the two.  Of the same disk
		 * only: taking over a size could cost the blocks beyond it.
		 */
		c->super = copy;
		return restore(c, 0, "superblock", "older than its copy", "copy");
	}
	return restore(c, page, "superblock copy", "differs from the primary", "primary");
}

/* What the media writes as one, at least. */
#define WORD 8u

/* True if each word is as in the superblock whose copy is at `last`, or zero: it was cut while written. */
static bool is_part_of(const struct checking *c, const uint8_t *page, uint64_t last)
{
	static const uint8_t zeroes[WORD];
	uint8_t copy[LAYOUT_PAGE_SIZE];

	if (!guard_read(&c->device.pm, copy, pm_page(&c->device.pm, last), sizeof(copy)))
		return false;
	for (size_t i = 0; i < sizeof(copy); i += WORD)
		if (memcmp(page + i, zeroes, WORD) != 0 && memcmp(page + i, copy + i, WORD) != 0)
			return false;
	return true;
}

/*
 * True if nothing in the first page says that it was the superblock whose copy, at `last`, is in
 * c->super.
 */
static bool holds_something(const struct checking *c, enum super_state state, uint64_t last)
{
	uint8_t page[LAYOUT_PAGE_SIZE];

	return state == SUPER_ABSENT &&
	       guard_read(&c->device.pm, page, pm_page(&c->device.pm, 0), sizeof(page)) &&
	       memcmp(page + offsetof(struct layout_super, uuid), c->super.uuid,
		      sizeof(c->super.uuid)) != 0 &&
	       !is_part_of(c, page, last);
}

/* The primary is not sound.  True if the copy has taken its place in c->super. */
static bool check_from_copy(struct checking *c, const struct super_verdict *primary, int *rc)
{
	uint64_t last = (c->device.size >> LAYOUT_PAGE_SHIFT) - 1;
	struct super_verdict verdict;
	char name[64];
	bool copy;

	if (primary->state == SUPER_UNSUPPORTED) {
		found(c, KMEMBLK_FINDING_LEFT, "superblock (page 0): %s", primary->reason);
		return false;
	}
	copy = super_read(&c->device, last, &c->super, &verdict) == SUPER_SOUND &&
	       super_copy_page(&c->super) == last;
	*rc = foreign_find(&c->device, name, sizeof(name));
	if (*rc < 0)
		return false;
	if (*rc > 0) {
		*rc = 0;
		found(c, KMEMBLK_FINDING_LEFT, "superblock (page 0): the device now holds %s%s",
		      name,
		      copy ? "; the copy of an old superblock at its end is not brought back" : "");
		return false;
	}
	if (!copy) {
		found(c, KMEMBLK_FINDING_LEFT,
		      "superblock (page 0): %s; and there is no whole copy at the end of the "
		      "device (page %llu)",
		      primary->reason, (unsigned long long)last);
		return false;
	}
	if (holds_something(c, primary->state, last)) {
		found(c, KMEMBLK_FINDING_LEFT,
		      "superblock (page 0): something else has been written there; the copy of an "
		      "old superblock at the device's end is not brought back; if what is there now "
		      "is worth nothing, zero its first 4096 bytes and check again");
		return false;
	}
	*rc = restore(c, 0, "superblock", primary->reason, "copy");
	return *rc == 0;
}

/* True if c->super describes the device, so that the index can be checked. */
static bool check_supers(struct checking *c, int *rc)
{
	uint64_t pages = c->device.size >> LAYOUT_PAGE_SHIFT;
	struct super_verdict verdict;

	if (pages < 3) {
		found(c, KMEMBLK_FINDING_LEFT,
		      "the device has only %llu pages: too small to be a kmemblk device",
		      (unsigned long long)pages);
		return false;
	}
	if (super_read(&c->device, 0, &c->super, &verdict) != SUPER_SOUND)
		return check_from_copy(c, &verdict, rc);
	*rc = check_copy(c);
	if (*rc == 0 && (c->super.ro_compat & ~LAYOUT_KNOWN_RO_COMPAT) != 0)
		found(c, KMEMBLK_FINDING_NOTE,
		      "has features this version can only read (ro-compat 0x%llx): open it "
		      "read-only",
		      (unsigned long long)c->super.ro_compat);
	if (*rc == 0 && pages > c->super.device_pages)
		found(c, KMEMBLK_FINDING_NOTE,
		      "the device has %llu pages, of which the format uses %llu",
		      (unsigned long long)pages, (unsigned long long)c->super.device_pages);
	return *rc == 0;
}

/* ---- index ---------------------------------------------------------------------------------- */

static void damaged_entry(void *opaque, enum index_damage damage, uint64_t block, uint64_t page)
{
	struct checking *c = opaque;

	/* Pages named twice are told by tell_shared(), which knows all their blocks. */
	if (damage == INDEX_SHARED)
		return;
	if (++c->damaged > ENTRIES_TOLD)
		return;
	if (damage == INDEX_TURNED)
		found(c, KMEMBLK_FINDING_LEFT,
		      "block %llu: bits of its index entry have turned; the block's contents cannot be "
		      "found",
		      (unsigned long long)block);
	else if (damage == INDEX_WILD)
		found(c, KMEMBLK_FINDING_LEFT,
		      "block %llu: its index entry names page %llu, which is no data page (those "
		      "are %llu to %llu); the block's contents are lost",
		      (unsigned long long)block, (unsigned long long)page,
		      (unsigned long long)c->index.data_start,
		      (unsigned long long)(c->index.data_start + c->index.data_pages - 1));
	else
		found(c, KMEMBLK_FINDING_LEFT,
		      "block %llu: media error at its index entry; its contents cannot be found",
		      (unsigned long long)block);
}

/* The page of a block, or 0 where it cannot be told. */
static uint64_t entry_page(struct checking *c, uint64_t block)
{
	uint64_t entry, page;

	if (!guard_read(&c->device.pm, &entry, (const void *)&c->index.entries[block],
			sizeof(entry)))
		return 0;
	page = index_page_of(&c->index, entry);
	return page == INDEX_BAD_PAGE ? 0 : page;
}

/* Walk the index again and tell each block whose page has other blocks too. */
static void tell_shared(struct checking *c, const _Atomic uint64_t *twice)
{
	for (uint64_t block = 0; block < c->index.blocks; block++) {
		uint64_t page;

		if (index_leaf_empty(&c->index, index_leaf(block))) {
			block |= LAYOUT_LEAF_ENTRIES - 1;
			continue;
		}
		page = entry_page(c, block);
		if (page == 0 || !bitmap_test(twice, page - c->index.data_start))
			continue;
		if (++c->damaged <= ENTRIES_TOLD)
			found(c, KMEMBLK_FINDING_LEFT,
			      "block %llu: its index entry names page %llu, which another block "
			      "names too; only one of them can be right",
			      (unsigned long long)block, (unsigned long long)page);
	}
}

/* Entries past the last block must be zero; they hold nothing, so zeroing them loses nothing. */
static int check_tail(struct checking *c)
{
	static const uint64_t zeroes[LAYOUT_LEAF_ENTRIES];
	uint64_t entries[LAYOUT_LEAF_ENTRIES];
	size_t size = ((c->index.leaves << LAYOUT_LEAF_SHIFT) - c->index.blocks) * sizeof(uint64_t);
	void *tail = &c->index.entries[c->index.blocks];
	int rc = 0;

	if (c->index.leaves == 0 || !c->index.present[c->index.leaves - 1])
		return 0;
	if (!guard_read(&c->device.pm, entries, tail, size)) {
		found(c, KMEMBLK_FINDING_LEFT, "index: media error past the last block");
		return 0;
	}
	if (memcmp(entries, zeroes, size) == 0)
		return 0;
	if (c->repair)
		rc = may_repair(c);
	if (rc != 0)
		return rc;
	if (c->repair) {
		rc = guard_write(&c->device, tail, NULL, size, PM_REPAIR_TAIL);
		/* Before the correction is reported. */
		pm_drain(&c->device.pm, PM_REPAIR_TAIL);
	}
	if (rc != 0)
		return fail_errno(-rc, "repair: %s: index", c->device.path);
	found(c, c->repair ? KMEMBLK_FINDING_CORRECTED : KMEMBLK_FINDING_CORRECTABLE,
	      "index: entries past the last block are not zero; they hold nothing: %s",
	      c->repair ? "zeroed" : "add --repair to zero them");
	return 0;
}

/* ---- data ----------------------------------------------------------------------------------- */

struct verifying {
	const struct index *index;
	uint64_t block;
	uint64_t page; /* 0: there is nothing to verify */
	bool right;
};

static void verify_access(void *opaque)
{
	struct verifying *v = opaque;
	uint64_t entry = index_entry(v->index, v->block);
	uint64_t page = index_page_of(v->index, entry);

	v->page = page == INDEX_BAD_PAGE ? 0 : page;
	if (v->page != 0)
		v->right = crc24_page(index_prefix(v->index, v->block),
				      pm_page(&v->index->device->pm, page)) ==
			   layout_entry_check(entry);
}

static void verify_block(struct checking *c, uint64_t block)
{
	struct verifying v = { .index = &c->index, .block = block };
	struct fault fault;
	bool readable = guard_run(&c->device.pm, verify_access, &v, &fault);

	if (readable && v.page == 0)
		return;
	if (readable && v.right) {
		c->result->verified++;
		return;
	}
	if (++c->blocks_damaged > ENTRIES_TOLD)
		return;
	found(c, KMEMBLK_FINDING_LEFT, "block %llu: page %llu %s: write or trim the whole block",
	      (unsigned long long)block, (unsigned long long)v.page,
	      readable ? "does not hold what was written there" : "has a media error");
}

static void check_data(struct checking *c)
{
	const struct index *index = &c->index;

	if (index->blocks > 0 && !index->checks)
		found(c, KMEMBLK_FINDING_NOTE,
		      "the device was formatted without check values: its data cannot be verified");
	for (uint64_t leaf = 0; index->checks && leaf < index->leaves; leaf++) {
		uint64_t block = leaf << LAYOUT_LEAF_SHIFT, end = block + LAYOUT_LEAF_ENTRIES;

		if (c->options->progress != NULL)
			c->options->progress(c->options->progress_opaque, leaf, index->leaves);
		if (!index_leaf_empty(index, leaf))
			for (; block < end && block < index->blocks; block++)
				verify_block(c, block);
	}
	if (c->options->progress != NULL)
		c->options->progress(c->options->progress_opaque, 1, 1);
	if (c->blocks_damaged > ENTRIES_TOLD)
		found(c, KMEMBLK_FINDING_LEFT, "data: %llu more damaged blocks",
		      (unsigned long long)(c->blocks_damaged - ENTRIES_TOLD));
}

/* ---- both ---------------------------------------------------------------------------------- */

static int check_index(struct checking *c)
{
	uint64_t data_pages = super_data_pages(&c->super);
	struct index_scan scan = {
		.named = bitmap_new(data_pages),
		.twice = bitmap_new(data_pages),
		.damaged = damaged_entry,
		.damaged_opaque = c,
		.progress = c->options->progress,
		.progress_opaque = c->options->progress_opaque,
	};
	int rc;

	if (scan.named == NULL || scan.twice == NULL)
		rc = fail(ENOMEM, "check: %s: out of memory for the index", c->device.path);
	else
		rc = index_open(&c->index, &c->device, &c->super, &scan);
	if (rc != 0)
		goto out;
	c->result->entries = c->index.blocks;
	c->result->pages_used = c->index.used;
	if (c->index.twice > 0)
		tell_shared(c, scan.twice);
	if (c->damaged > ENTRIES_TOLD)
		found(c, KMEMBLK_FINDING_LEFT, "index: %llu more damaged entries",
		      (unsigned long long)(c->damaged - ENTRIES_TOLD));
	if (c->damaged > 0)
		found(c, KMEMBLK_FINDING_NOTE,
		      "opened read-only, the device serves every other block; copy them, then "
		      "format it anew");
	rc = check_tail(c);
	if (rc == 0 && c->options->flags & KMEMBLK_CHECK_DATA)
		check_data(c);
out:
	free((void *)scan.named);
	free((void *)scan.twice);
	index_close(&c->index);
	return rc;
}

/* ---- bad blocks ----------------------------------------------------------------------------- */

/* What the system knows of pages that may not have been touched here. */
static int tell_bad_blocks(struct checking *c)
{
	uint64_t start = c->super.index_start, data = super_data_start(&c->super);
	uint64_t end = super_copy_page(&c->super), page;
	struct badblocks bad;
	int rc = badblocks_read(&bad, &c->device);

	if (badblocks_find(&bad, start, data, &page))
		found(c, KMEMBLK_FINDING_LEFT,
		      "index: page %llu has a bad block, as the system knows; the device can only "
		      "be opened read-only: copy its blocks, then format it anew",
		      (unsigned long long)page);
	if (badblocks_find(&bad, data, end, &page))
		found(c, KMEMBLK_FINDING_NOTE,
		      "the system knows of bad blocks among the data pages, as page %llu; they are "
		      "taken out of use as they become free",
		      (unsigned long long)page);
	badblocks_free(&bad);
	return rc;
}

int kmemblk_check(const char *path, const struct kmemblk_check_options *options,
		  struct kmemblk_check_result *result)
{
	static const struct kmemblk_check_options defaults;
	struct checking c = { .options = options == NULL ? &defaults : options, .result = result };
	int rc;

	*result = (struct kmemblk_check_result){ 0 };
	if (c.options->flags & ~(KMEMBLK_CHECK_REPAIR | KMEMBLK_CHECK_DATA))
		return fail(EINVAL, "check: %s: unknown flags 0x%x", path, c.options->flags);
	c.repair = c.options->flags & KMEMBLK_CHECK_REPAIR;
	rc = guard_install();
	if (rc == 0)
		rc = device_open(&c.device, path, !c.repair);
	if (rc != 0)
		return rc;
	rc = claim_take(&c.device);
	/* An empty file cannot be mapped; check_supers() has words for it. */
	if (rc == 0 && c.device.size > 0)
		rc = device_map(&c.device);
	if (rc == 0 && check_supers(&c, &rc)) {
		rc = check_index(&c);
		if (rc == 0)
			rc = tell_bad_blocks(&c);
	}
	device_close(&c.device);
	return rc;
}
