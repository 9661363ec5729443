/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz-image.c - a device with anything in its superblocks, directory, records and tables: opened, checked,
 * repaired, written to, its volumes changed.
 *
 * The input tells the device (all that it does not tell is zero):
 *
 *     0          FLAG_*
 *     1-2        pages of the device, modulo PAGES_MAX + 1
 *     3          bytes more, in units of 16
 *     4-179      the first bytes of the superblock; the rest of it is zero
 *     180-355    the same of its copy, as what differs from the primary (exclusive or)
 *     356-363    pokes into the superblocks: offset (2), primary's byte (1), copy's byte (1), twice
 *     from 364   statements of ten bytes each, of which the first tells which (modulo 7):
 *
 *     0  an entry on the way to a block: volume (2), level of what it names, 0 for the block (1), block (2) and how
 *        far that is shifted (1), page that it names (2), WRONG_* (1).  Tables that are missing on the way to it are
 *        made, from the device's end.  Page 0, nothing wrong: the entry is cleared
 *     1  a volume: number in the directory (2), page of its record (2), height, or 0 for the right one (1), blocks (2)
 *        and how far that is shifted (1), HOW_* (1)
 *     2  an entry of the directory: number (2), page (2), of how many places further (2), bit 0: in the directory,
 *        bit 1: in its copy (2), WRONG_* (1)
 *     3  four bytes anywhere: page (2), offset (2), what differs (4), bit 0: the checksum of a record is made right (1)
 *     4  so many volumes: count (2), page of the first record (2), then as for one
 *     5  what a volume came of: number (2), that of the volume whose snapshot it becomes (2), that of its origin (2),
 *        that of whose root it gets (1), sequence (1), KIN_* (1)
 *     6  tables of its own on the way to a block, copies of what is there: as 0, down to the level
 *
 * The checksums are made right when a flag says so, and places, check values and parity unless a WRONG_* says
 * otherwise, or nothing behind them would ever be reached: an entry is right in its place and names any page, a
 * table above it or another volume's included.  A page that a block's entry names holds its own number, again and
 * again.
 *
 * What must hold is told from the bytes alone, with the numbers of kmemblk-format(5): which blocks
 * can be read, and what they hold, at first, after repair, and after writes.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "image.h"

/* What a run of check says. */
struct outcome {
	int rc;
	struct kmemblk_check_result result;
	uint64_t told[KMEMBLK_FINDING_LEFT + 1];
};

/* ---- check and repair ------------------------------------------------------------------------ */

static void count_finding(void *opaque, enum kmemblk_finding_kind kind, const char *text)
{
	struct outcome *outcome = opaque;

	EXPECT(strchr(text, '\n') == NULL && !use_speaks_of_access(text), "%s", text);
	outcome->told[kind]++;
}

static struct outcome check(unsigned int how)
{
	struct outcome outcome = { 0 };
	struct kmemblk_check_options options = {
		.flags = how,
		.finding = count_finding,
		.finding_opaque = &outcome,
	};
	const struct kmemblk_check_result *result = &outcome.result;

	outcome.rc = kmemblk_check(fuzz_path, &options, &outcome.result);
	if (outcome.rc != 0)
		use_expect_clear(outcome.rc);
	EXPECT(result->corrected == outcome.told[KMEMBLK_FINDING_CORRECTED] &&
		       result->correctable == outcome.told[KMEMBLK_FINDING_CORRECTABLE] &&
		       result->left == outcome.told[KMEMBLK_FINDING_LEFT],
	       "findings told and counted differ");
	return outcome;
}

/* `found` is what check without repair said.  True if the device could be repaired. */
static bool repair(const struct outcome *found)
{
	struct outcome repaired, again;
	uint64_t digest = fuzz_digest();

	repaired = check(KMEMBLK_CHECK_REPAIR);
	if (repaired.rc != 0) {
		EXPECT(repaired.rc == -EMEDIUMTYPE && found->result.correctable > 0,
		       "repair fails: %d: %s", repaired.rc, kmemblk_error());
		EXPECT(fuzz_digest() == digest, "a repair that was refused changed the device");
		return false;
	}
	EXPECT(repaired.result.correctable == 0 &&
		       repaired.result.corrected == found->result.correctable &&
		       repaired.result.left == found->result.left,
	       "repair did not correct what check said it would");
	EXPECT(repaired.result.corrected > 0 || fuzz_digest() == digest,
	       "repair corrected nothing and changed the device");
	digest = fuzz_digest();
	again = check(0);
	EXPECT(again.rc == 0 && again.result.correctable == 0 &&
		       again.result.left == repaired.result.left &&
		       again.result.entries == repaired.result.entries &&
		       again.result.pages_used == repaired.result.pages_used,
	       "check after repair differs from what repair said");
	again = check(KMEMBLK_CHECK_REPAIR);
	EXPECT(again.rc == 0 && again.result.corrected == 0 && fuzz_digest() == digest,
	       "a second repair changes something");
	return true;
}

/*
 * A page of the directory, or of its copy, of so many pages: each entry is as it was made, or as the other is and
 * was.  How many differ.
 */
static uint64_t expect_directory(const uint8_t *page, uint64_t i, uint64_t directory)
{
	const uint8_t *was = image.bytes + i * PAGE;
	const uint8_t *other = image.bytes + (i > directory ? i - directory : i + directory) * PAGE;
	uint64_t changed = 0;

	for (unsigned int at = 0; at < PAGE; at += 8) {
		if (memcmp(page + at, was + at, 8) == 0)
			continue;
		EXPECT(memcmp(page + at, other + at, 8) == 0 && number_at(other + at, 8) != 0,
		       "repair made up an entry in page %llu", (unsigned long long)i);
		changed++;
	}
	return changed;
}

/* Superblocks and the directory apart, the device is as it was made.  How many entries of the directory differ. */
static uint64_t expect_kept(void)
{
	uint64_t copy = 0, directory = 0, changed = 0, old = number_at(image.bytes + 48, 8) - 1;
	uint8_t page[PAGE];

	for (uint64_t i = 0; i < image.pages; i++) {
		EXPECT(pread(fuzz_fd, page, PAGE, (off_t)(i * PAGE)) == PAGE, "cannot read back");
		if (i == 0) {
			copy = number_at(page + 48, 8) - 1;
			directory = number_at(page + 64, 8);
		} else if (i != copy && directory <= 128 && i <= 2 * directory &&
			   2 * directory < image.pages) {
			changed += expect_directory(page, i, directory);
		} else {
			/* Repair has finished a growth. */
			if (i == old && old < copy && view_is_zero(page))
				continue;
			EXPECT(i == copy || memcmp(page, image.bytes + i * PAGE, PAGE) == 0,
			       "repair changed page %llu", (unsigned long long)i);
		}
	}
	return changed;
}

/* Findings of so many: those past a hundred are one more. */
static uint64_t min_told(uint64_t count)
{
	return count > 100 ? 101 : count;
}

/* What check says of a device that `view` is of. */
static void expect_checked(const struct view *view, const struct outcome *found)
{
	struct outcome whole = check(KMEMBLK_CHECK_DATA);

	EXPECT(found->rc != 0 || found->result.left > 0 || view_damage(view) == view->mendable,
	       "%llu damaged entries, of which %llu can be mended, and check leaves nothing",
	       (unsigned long long)view_damage(view), (unsigned long long)view->mendable);
	EXPECT(found->rc != 0 || found->result.correctable >= min_told(view->mendable),
	       "%llu entries can be mended, and check would correct %llu",
	       (unsigned long long)view->mendable, (unsigned long long)found->result.correctable);
	if (found->result.left + found->result.correctable == 0)
		view_expect_flawless(view);
	EXPECT(found->rc != 0 || (found->result.entries == view->blocks &&
				  found->result.pages_used == view->used),
	       "check counts %llu pages of %llu", (unsigned long long)found->result.pages_used,
	       (unsigned long long)view->used);
	EXPECT(whole.rc != 0 || !view->checks ||
		       whole.result.verified + view->mismatched == view->verified,
	       "check verifies %llu blocks of %llu, of which %llu are lost",
	       (unsigned long long)whole.result.verified, (unsigned long long)view->verified,
	       (unsigned long long)view->mismatched);
	EXPECT(whole.rc != 0 || (whole.result.left > found->result.left) == (view->mismatched > 0),
	       "lost data, and check --data finds none, or the other way round");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct view before, after;
	struct input input = { data, size };
	struct outcome found;
	bool opened, repaired;
	uint64_t digest, changed;

	image_make(&input);
	digest = fuzz_digest();
	opened = use_read(&before);
	found = check(0);
	EXPECT(opened || found.rc != 0 || found.result.left + found.result.correctable > 0,
	       "does not open, and check finds nothing");
	if (opened && !before.growing)
		expect_checked(&before, &found);
	EXPECT(fuzz_digest() == digest, "reading changed the device");
	repaired = repair(&found);
	changed = expect_kept();
	EXPECT(!opened || before.growing || changed == (repaired ? before.mendable : 0),
	       "%llu entries of the directory were changed, of which %llu can be mended",
	       (unsigned long long)changed, (unsigned long long)before.mendable);
	if (use_read(&after)) {
		bool sound = repaired && found.result.left == 0;

		if (sound)
			view_expect_flawless(&after);
		use_write(&after, sound);
	} else {
		EXPECT(!opened && (!repaired || found.result.left > 0),
		       "does not open after repair");
	}
	image_forget();
	return 0;
}
