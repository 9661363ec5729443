/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check.c - verify all that the media can show, and correct what needs no guess.
 *
 * Superblocks: both are whole and say the same.  One can be rewritten from the other, unless
 * something else has been put on the device meanwhile: mkfs over page 0 leaves our copy behind,
 * and bringing the primary back would destroy the new file system.
 *
 * Directory: check-directory.c.  Map and data: check-map.c.
 *
 * The same code runs behind the command, after every simulated crash, and at the end of every
 * integration test.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/check.h"
#include "api/grow.h"
#include "base/error.h"
#include "base/shell.h"
#include "media/badblocks.h"
#include "media/claim.h"
#include "media/foreign.h"
#include "media/guard.h"

void check_found(struct checking *c, enum kmemblk_finding_kind kind, const char *format, ...)
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

int check_may_repair(const struct checking *c)
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
		check_found(
			c, KMEMBLK_FINDING_CORRECTABLE,
			"%s (page %llu): %s; the %s is whole: add --repair to write it anew from "
			"there",
			which, (unsigned long long)page, reason, from);
		return 0;
	}
	rc = check_may_repair(c);
	if (rc != 0)
		return rc;
	rc = device_allocate(&c->device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE);
	if (rc != 0)
		return fail_errno(-rc, "repair: %s: storage", c->device.path);
	rc = super_write(&c->device, page, &c->super, PM_REPAIR_SUPER);
	if (rc == 0)
		check_found(c, KMEMBLK_FINDING_CORRECTED,
			    "%s (page %llu): %s; written anew from the %s", which,
			    (unsigned long long)page, reason, from);
	return rc;
}

/* True if two superblocks put the same blocks in the same places. */
static bool same_disk(const struct super *a, const struct super *b)
{
	return memcmp(a->uuid, b->uuid, sizeof(a->uuid)) == 0 && a->type == b->type &&
	       a->device_pages == b->device_pages && a->directory_start == b->directory_start &&
	       a->directory_pages == b->directory_pages && a->check == b->check;
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
		check_found(c, KMEMBLK_FINDING_LEFT, "superblock copy (page %llu): %s",
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

/* A growth to *grown was cut before the primary, in c->super, was exchanged. */
static int check_growth(struct checking *c, const struct super *grown)
{
	const struct super before = c->super;
	unsigned long long from = before.device_pages, to = grown->device_pages;
	int rc;

	/* The rest is checked as it will be, or what is said of it would not hold after repair. */
	c->super = *grown;
	if (!c->repair) {
		check_found(
			c, KMEMBLK_FINDING_CORRECTABLE,
			"superblock (page 0): the growth of the device from %llu pages to %llu was cut; add "
			"--repair to finish it, or type: kmemblk grow %s",
			from, to, SHELL_WORD(c->device.path));
		return 0;
	}
	rc = check_may_repair(c);
	if (rc == 0)
		rc = grow_write(&c->device, &before, grown, "repair");
	if (rc == 0)
		check_found(
			c, KMEMBLK_FINDING_CORRECTED,
			"superblock (page 0): the growth of the device from %llu pages to %llu was "
			"cut; finished",
			from, to);
	return rc;
}

/* The primary is sound and in c->super, and the device may have become larger than it says. */
static int check_size(struct checking *c)
{
	uint64_t pages = super_last_page(&c->device) + 1;
	struct super grown;
	int rc;

	if (super_find_grown(&c->device, &c->super, &grown))
		return check_growth(c, &grown);
	rc = check_copy(c);
	if (rc == 0 && pages > c->super.device_pages)
		check_found(c, KMEMBLK_FINDING_NOTE,
			    "the device has %llu pages, of which the format uses %llu; to use all, "
			    "type: kmemblk grow %s",
			    (unsigned long long)pages, (unsigned long long)c->super.device_pages,
			    SHELL_WORD(c->device.path));
	return rc;
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
	uint64_t last = super_last_page(&c->device);
	struct super_verdict verdict;
	char name[64];
	bool copy;

	if (primary->state == SUPER_UNSUPPORTED) {
		check_found(c, KMEMBLK_FINDING_LEFT, "superblock (page 0): %s", primary->reason);
		return false;
	}
	/* By a whole primary of more pages, what is at the end is no copy of it: it would cost the blocks beyond. */
	copy = primary->state != SUPER_CUT_SHORT &&
	       super_read(&c->device, last, &c->super, &verdict) == SUPER_SOUND &&
	       super_copy_page(&c->super) == last;
	*rc = foreign_find(&c->device, name, sizeof(name));
	if (*rc < 0)
		return false;
	if (*rc > 0) {
		*rc = 0;
		check_found(c, KMEMBLK_FINDING_LEFT,
			    "superblock (page 0): the device now holds %s%s", name,
			    copy ? "; the copy of an old superblock at its end is not brought back"
				 : "");
		return false;
	}
	if (!copy) {
		check_found(c, KMEMBLK_FINDING_LEFT,
			    "superblock (page 0): %s; and there is no whole copy at the end of the "
			    "device (page %llu)",
			    primary->reason, (unsigned long long)last);
		return false;
	}
	if (holds_something(c, primary->state, last)) {
		check_found(
			c, KMEMBLK_FINDING_LEFT,
			"superblock (page 0): something else has been written there; the copy of an "
			"old superblock at the device's end is not brought back; if what is there now "
			"is worth nothing, zero its first 4096 bytes and check again");
		return false;
	}
	*rc = restore(c, 0, "superblock", primary->reason, "copy");
	return *rc == 0;
}

/* True if c->super describes the device, so that the map can be checked. */
static bool check_supers(struct checking *c, int *rc)
{
	uint64_t pages = c->device.size >> LAYOUT_PAGE_SHIFT;
	struct super_verdict verdict;

	if (pages < 3) {
		check_found(c, KMEMBLK_FINDING_LEFT,
			    "the device has only %llu pages: too small to be a kmemblk device",
			    (unsigned long long)pages);
		return false;
	}
	if (super_read(&c->device, 0, &c->super, &verdict) != SUPER_SOUND)
		return check_from_copy(c, &verdict, rc);
	*rc = check_size(c);
	if (*rc == 0 && (c->super.ro_compat & ~LAYOUT_KNOWN_RO_COMPAT) != 0)
		check_found(c, KMEMBLK_FINDING_NOTE,
			    "has features this version can only read (ro-compat 0x%llx): open it "
			    "read-only",
			    (unsigned long long)c->super.ro_compat);
	return *rc == 0;
}

/* ---- bad blocks ----------------------------------------------------------------------------- */

/* What the system knows of pages that may not have been touched here. */
static void tell_bad_blocks(struct checking *c)
{
	uint64_t start = c->super.directory_start, data = super_data_start(&c->super);
	uint64_t end = super_copy_page(&c->super), page;

	if (badblocks_find(&c->bad, start, data, &page))
		check_found(
			c, KMEMBLK_FINDING_LEFT,
			"directory: page %llu has a bad block, as the system knows; clear it (ndctl "
			"clear-errors, which zeroes what is bad), and check again: the directory and its "
			"copy are written from each other",
			(unsigned long long)page);
	if (badblocks_find(&c->bad, data, end, &page))
		check_found(
			c, KMEMBLK_FINDING_NOTE,
			"the system knows of bad blocks among the data pages, as page %llu; they are "
			"taken out of use as they become free",
			(unsigned long long)page);
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
		rc = badblocks_read(&c.bad, &c.device);
		if (rc == 0)
			rc = check_map(&c);
		if (rc == 0)
			tell_bad_blocks(&c);
		badblocks_free(&c.bad);
	}
	device_close(&c.device);
	return rc;
}
