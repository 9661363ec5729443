/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image-view.c - what the bytes of a device say, by the numbers of kmemblk-format(5): which volumes there are,
 * what is wrong, and on which page each block is.
 */
#include "config.h"

#include <isa-l/crc.h>
#include <string.h>
#include <unistd.h>

#include "image.h"
#include "media/crc24.h"

static uint8_t bytes[PAGES_MAX * PAGE];

/* Tables to look at, those above first; each page is one at most once. */
static struct {
	unsigned int volume, level;
	uint64_t number, page;
} queue[PAGES_MAX];
static unsigned int queued;

uint64_t number_at(const uint8_t *at, unsigned int width)
{
	uint64_t value = 0;

	while (width-- > 0)
		value = value << 8 | at[width];
	return value;
}

static uint64_t entry_at(uint64_t page, uint64_t index)
{
	return number_at(bytes + page * PAGE + 8 * index, 8);
}

static bool all_zero(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i] != 0)
			return false;
	return true;
}

/* ---- superblock ------------------------------------------------------------------------------ */

/* The library has found this superblock sound: is it? */
static void expect_super(uint8_t *super)
{
	uint64_t type = number_at(super + 12, 4), spare = number_at(super + 72, 8);
	uint64_t all = number_at(super + 48, 8);

	EXPECT(memcmp(super, "KMEMBLK\n", 8) == 0 && number_at(super + 8, 4) == 2 &&
		       number_at(super + 32, 8) == 0 &&
		       number_at(super + CRC_AT, 4) == (uint32_t)~crc32_iscsi(super, CRC_AT, ~0u),
	       "a wrong superblock was accepted");
	EXPECT(number_at(super + 44, 4) <= type && all_zero(super + 176, CRC_AT - 176) &&
		       super[175] == 0,
	       "reserved bytes were accepted, or a label without an end");
	EXPECT(number_at(super + 40, 4) == PAGE && number_at(super + 56, 8) == 1 &&
		       number_at(super + 80, 8) != 0 && number_at(super + 64, 8) == type &&
		       all <= image.pages,
	       "an impossible field was accepted");
	/* Two superblocks, two directories, a record, a table, a block. */
	EXPECT(type == 1   ? spare > 0 && spare <= all && all - spare >= 7
	       : type == 0 ? spare == 0 && all >= 3
			   : false,
	       "an impossible size was accepted");
}

/* ---- entries --------------------------------------------------------------------------------- */

/* A whole entry's page if that is one of data, else LOST. */
static uint64_t page_of(const struct view *view, uint64_t entry)
{
	uint64_t page = entry & PAGE_MASK;

	return __builtin_parityll(entry) || page < view->data_start || page >= view->data_end
		       ? LOST
		       : page;
}

/* The same of one that is about a place. */
static uint64_t place_of(const struct view *view, uint64_t entry, uint64_t family,
			 unsigned int level, uint64_t number)
{
	uint64_t page = page_of(view, entry);

	return page == LOST || (entry >> 39 & 0xffffff) != crc24_place(family, page, level, number)
		       ? LOST
		       : page;
}

static uint64_t block_of(const struct view *view, uint64_t entry)
{
	return !view->checks && (entry >> 39 & 0xffffff) != 0 ? LOST : page_of(view, entry);
}

/* True if the block's page holds what was written there. */
static bool is_whole(const struct volume *volume, uint64_t block, uint64_t entry)
{
	struct crc24_prefix prefix = { volume->family, block };

	return crc24_page(prefix, bytes + (entry & PAGE_MASK) * PAGE) == (entry >> 39 & 0xffffff);
}

/* True the first time. */
static bool name(struct view *view, uint64_t page)
{
	view->shared += view->names[page] == 1;
	view->names[page] += view->names[page] < 2;
	return view->names[page] == 1;
}

/* ---- directory and records ------------------------------------------------------------------- */

static uint64_t record_page(struct view *view, unsigned int number)
{
	uint64_t first = entry_at(1, number), second = entry_at(2, number);
	uint64_t page = first == 0 ? 0 : place_of(view, first, 0, 63, number);
	uint64_t copy = second == 0 ? 0 : place_of(view, second, 0, 63, number);

	view->problems += (page == LOST) + (copy == LOST) +
			  (page == 0 && copy != 0 && copy != LOST) + (page == 0 && copy == LOST);
	if (page == LOST || page == 0)
		page = copy == LOST ? 0 : copy;
	return page;
}

static bool is_name(const uint8_t *at)
{
	size_t length = strnlen((const char *)at, 64);

	for (size_t i = 0; i < length; i++) {
		bool letter = (at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z') ||
			      (at[i] >= '0' && at[i] <= '9');

		if (!letter && (i == 0 || (at[i] != '.' && at[i] != '_' && at[i] != '-')))
			return false;
	}
	return length > 0 && length < 64 && all_zero(at + length, 64 - length);
}

static bool is_record(uint8_t *at)
{
	uint64_t blocks = number_at(at + 16, 8), height = number_at(at + 8, 4);

	return memcmp(at, "KMEMREC\n", 8) == 0 &&
	       number_at(at + 4084, 4) == (uint32_t)~crc32_iscsi(at, 4084, ~0u) && blocks > 0 &&
	       blocks <= 1ull << 39 && height >= 1 && height <= 5 && blocks <= 1ull << 9 * height &&
	       number_at(at + 12, 4) <= 1 && is_name(at + 56) && all_zero(at + 120, 4084 - 120);
}

static void look_at_volume(struct view *view, unsigned int number)
{
	uint64_t page = record_page(view, number);
	struct volume *volume = &view->volume[view->volumes];
	uint8_t *at = bytes + page * PAGE;

	if (page == 0)
		return;
	if (!is_record(at)) {
		view->problems++;
		return;
	}
	*volume = (struct volume){
		.number = number,
		.page = page,
		.height = (unsigned int)number_at(at + 8, 4),
		.blocks = number_at(at + 16, 8),
		.family = number_at(at + 24, 8),
	};
	memcpy(volume->name, at + 56, sizeof(volume->name));
	for (unsigned int i = 0; i < view->volumes; i++)
		if (view->volume[i].page == page ||
		    strcmp(view->volume[i].name, volume->name) == 0) {
			view->problems++;
			return;
		}
	name(view, page);
	view->volumes++;
	view->blocks += volume->blocks;
	view->tables++;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void look_at_table_entry(struct view *view, unsigned int v, uint64_t entry,
				unsigned int level, uint64_t number)
{
	struct volume *volume = &view->volume[v];
	uint64_t page;

	if (entry == 0)
		return;
	page = place_of(view, entry, volume->family, level, number);
	if (page == LOST) {
		view->bad++;
		return;
	}
	if (!name(view, page))
		return;
	volume->past += number << 9 * level >= volume->blocks;
	view->tables++;
	queue[queued].volume = v;
	queue[queued].level = level;
	queue[queued].number = number;
	queue[queued++].page = page;
}

static void look_at_block_entry(struct view *view, struct volume *volume, uint64_t entry,
				uint64_t block)
{
	uint64_t page = block_of(view, entry);

	if (entry == 0)
		return;
	if (page == LOST) {
		view->bad++;
		return;
	}
	view->used++;
	volume->past += block >= volume->blocks;
	name(view, page);
	view->mismatched += view->checks && !is_whole(volume, block, entry);
}

static void look_at_table(struct view *view, unsigned int i)
{
	unsigned int v = queue[i].volume, level = queue[i].level;

	for (unsigned int j = 0; j < ENTRIES; j++) {
		uint64_t entry = entry_at(queue[i].page, j), number = queue[i].number << 9 | j;

		if (level > 1)
			look_at_table_entry(view, v, entry, level - 1, number);
		else
			look_at_block_entry(view, &view->volume[v], entry, number);
	}
}

void view_look(struct view *view)
{
	bool is_disk = false;

	memset(view, 0, sizeof(*view));
	memset(bytes, 0, sizeof(bytes));
	EXPECT(pread(fuzz_fd, bytes, image.pages * PAGE, 0) == (ssize_t)(image.pages * PAGE),
	       "cannot read back the device");
	expect_super(bytes);
	is_disk = number_at(bytes + 12, 4) == 1;
	view->checks = number_at(bytes + 44, 4) == 1;
	view->data_start = is_disk ? 3 : 1;
	view->data_end = number_at(bytes + 48, 8) - 1;
	view->ro_compat = number_at(bytes + 24, 8);
	for (unsigned int i = 0; is_disk && i < VOLUMES_MAX; i++)
		look_at_volume(view, i);
	queued = 0;
	for (unsigned int i = 0; i < view->volumes; i++)
		look_at_table_entry(view, i, entry_at(view->volume[i].page, ENTRIES - 1),
				    view->volume[i].height, 0);
	/* Leaves last, as they come: what they name is no table's any more. */
	for (unsigned int i = 0; i < queued; i++)
		if (queue[i].level > 1)
			look_at_table(view, i);
	for (unsigned int i = 0; i < queued; i++)
		if (queue[i].level == 1)
			look_at_table(view, i);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* The page of the leaf of a block, 0 or LOST.  What a table that is named twice does not say is unknown. */
static uint64_t find_leaf(const struct view *view, const struct volume *volume, uint64_t block)
{
	uint64_t page = volume->page, index = ENTRIES - 1;

	for (unsigned int level = volume->height; level > 0; level--) {
		uint64_t entry = entry_at(page, index);

		if (entry == 0)
			return level < volume->height && view->names[page] > 1 ? LOST : 0;
		page = place_of(view, entry, volume->family, level, block >> 9 * level);
		if (page == LOST || (!view->checks && view->names[page] > 1))
			return LOST;
		index = block >> 9 * (level - 1) & (ENTRIES - 1);
	}
	return page;
}

uint64_t view_find(const struct view *view, const struct volume *volume, uint64_t block)
{
	uint64_t leaf = find_leaf(view, volume, block), entry, page;

	if (leaf == 0 || leaf == LOST)
		return leaf;
	entry = entry_at(leaf, block % ENTRIES);
	if (entry == 0)
		return view->names[leaf] > 1 ? LOST : 0;
	page = block_of(view, entry);
	if (page == LOST)
		return LOST;
	return (view->checks ? is_whole(volume, block, entry) : view->names[page] == 1) ? page
											: LOST;
}

const uint8_t *view_contents(uint64_t page)
{
	static const uint8_t zeroes[PAGE];

	return page == 0 ? zeroes : bytes + page * PAGE;
}

static void add_probe(const struct volume *volume, uint64_t *probes, unsigned int *n,
		      uint64_t block)
{
	if (block < volume->blocks && *n < PROBES_MAX)
		probes[(*n)++] = block;
}

unsigned int view_probes(const struct view *view, const struct volume *volume,
			 uint64_t probes[PROBES_MAX])
{
	unsigned int n = 0;

	add_probe(volume, probes, &n, 0);
	add_probe(volume, probes, &n, volume->blocks - 1);
	add_probe(volume, probes, &n, volume->blocks / 2);
	for (unsigned int i = 0; i < image.targets; i++) {
		uint64_t block = image.target[i].block, leaf;

		if (image.target[i].number != volume->number)
			continue;
		add_probe(volume, probes, &n, block);
		add_probe(volume, probes, &n, block + 1);
		add_probe(volume, probes, &n, block - 1);
		add_probe(volume, probes, &n, block ^ ENTRIES);
		leaf = find_leaf(view, volume, block);
		if (leaf == 0 || leaf == LOST)
			continue;
		for (unsigned int j = 0, found = 0; j < ENTRIES && found < 20; j++)
			if (entry_at(leaf, j) != 0) {
				add_probe(volume, probes, &n, (block & ~511ull) + j);
				found++;
			}
	}
	return n;
}

void view_expect_flawless(const struct view *view)
{
	EXPECT(memcmp(bytes, bytes + view->data_end * PAGE, PAGE) == 0,
	       "the copy differs, and check finds nothing");
	EXPECT(view_damage(view) == 0, "damage, and check finds nothing");
}
