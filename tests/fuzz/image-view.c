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
	uint64_t all = number_at(super + 48, 8), directory = number_at(super + 64, 8);

	EXPECT(memcmp(super, "KMEMBLK\n", 8) == 0 && number_at(super + 8, 4) == 2 &&
		       number_at(super + 32, 8) == 0 &&
		       number_at(super + CRC_AT, 4) == (uint32_t)~crc32_iscsi(super, CRC_AT, ~0u),
	       "a wrong superblock was accepted");
	EXPECT(number_at(super + 44, 4) <= type && all_zero(super + 176, CRC_AT - 176) &&
		       super[175] == 0,
	       "reserved bytes were accepted, or a label without an end");
	EXPECT(number_at(super + 40, 4) == PAGE && number_at(super + 56, 8) == 1 &&
		       number_at(super + 80, 8) != 0 && directory >= type &&
		       directory <= 128 * type && all <= image.pages,
	       "an impossible field was accepted");
	/* Two superblocks, two directories, a record, a table, a block. */
	EXPECT(type == 1   ? spare > 0 && spare <= all && all - spare >= 5 + 2 * directory
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

/* The page of a volume's record, as its entry says, or the copy: 0 for none, or LOST. */
static uint64_t record_page(const struct view *view, unsigned int number, bool copy)
{
	uint64_t entry = entry_at(1 + (copy ? view->directory : 0), number);

	return entry == 0 ? 0 : place_of(view, entry, 0, 63, number);
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
	       number_at(at + 12, 4) <= 2 && is_name(at + 56) && all_zero(at + 160, 4084 - 160) &&
	       !all_zero(at + 120, 16) == (number_at(at + 12, 4) == 2) &&
	       (number_at(at + 152, 8) != 0) == (number_at(at + 12, 4) == 2);
}

/* True if they may not both be there: two volumes of one name, or two snapshots of one volume. */
static bool are_namesakes(const struct volume *a, const struct volume *b)
{
	return strcmp(a->own, b->own) == 0 && a->is_snapshot == b->is_snapshot &&
	       memcmp(a->of, b->of, 16) == 0;
}

/* True if the record is a volume's. */
static bool add_volume(struct view *view, unsigned int number, uint64_t page)
{
	struct volume *volume = &view->volume[view->volumes];
	uint8_t *at = bytes + page * PAGE;

	if (!is_record(at)) {
		view->problems++;
		return false;
	}
	*volume = (struct volume){
		.number = number,
		.page = page,
		.height = (unsigned int)number_at(at + 8, 4),
		.blocks = number_at(at + 16, 8),
		.family = number_at(at + 24, 8),
		.is_snapshot = number_at(at + 12, 4) == 2,
		.sequence = number_at(at + 152, 8),
	};
	memcpy(volume->uuid, at + 40, 16);
	memcpy(volume->own, at + 56, sizeof(volume->own));
	memcpy(volume->of, at + 120, 16);
	memcpy(volume->origin, at + 136, 16);
	for (unsigned int i = 0; i < view->volumes; i++)
		if (view->volume[i].page == page || are_namesakes(&view->volume[i], volume)) {
			view->problems++;
			return false;
		}
	name(view, page);
	view->volumes++;
	view->blocks += volume->blocks;
	view->tables++;
	return true;
}

/* True if both are records, and the families or uuids differ. */
static bool differ(uint64_t page, uint64_t other)
{
	uint8_t *a = bytes + page * PAGE, *b = bytes + other * PAGE;

	return is_record(a) && is_record(b) &&
	       (memcmp(a + 24, b + 24, 8) != 0 || memcmp(a + 40, b + 40, 16) != 0);
}

static void look_at_volume(struct view *view, unsigned int number)
{
	uint64_t first = record_page(view, number, false), copy = record_page(view, number, true);
	bool named = first != 0 && first != LOST, copied = copy != 0 && copy != LOST, whole = false;

	if (named || copied)
		whole = add_volume(view, number, named ? first : copy);
	/* Damaged, or lost; and the other one is whole. */
	view->problems += (first == LOST || (first == 0 && copied)) + (copy == LOST);
	view->mendable += whole && (named ? copy == LOST : true);
	view->problems += whole && named && copied && differ(first, copy);
}

/* ---- predecessors ---------------------------------------------------------------------------- */

/* The entry that a volume has for a place, where there is a way to it; 0 if not. */
static uint64_t entry_of_place(const struct view *view, const struct volume *volume,
			       unsigned int level, uint64_t number)
{
	uint64_t page = volume->page, index = ENTRIES - 1;

	if (level > volume->height || number >> 9 * (volume->height - level) != 0)
		return 0;
	for (unsigned int here = volume->height; here > level; here--) {
		page = place_of(view, entry_at(page, index), volume->family, here,
				number >> 9 * (here - level));
		if (page == LOST)
			return 0;
		index = number >> 9 * (here - 1 - level) & (ENTRIES - 1);
	}
	return entry_at(page, index);
}

/* What a volume's predecessor has at a place. */
static uint64_t entry_before(const struct view *view, const struct volume *volume,
			     unsigned int level, uint64_t number)
{
	return volume->before < 0
		       ? 0
		       : entry_of_place(view, &view->volume[volume->before], level, number);
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
	if (page == place_of(view, entry_before(view, volume, level, number), volume->family, level,
			     number) ||
	    !name(view, page))
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
	uint64_t page = block_of(view, entry), before;

	if (entry == 0)
		return;
	if (page == LOST) {
		view->bad++;
		return;
	}
	before = entry_before(view, volume, 0, block);
	if (block_of(view, before) != page) {
		view->used++;
		volume->past += block >= volume->blocks;
		name(view, page);
	}
	if (entry != before) {
		view->verified++;
		view->mismatched += view->checks && !is_whole(volume, block, entry);
	}
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

/* True if two superblocks differ by size, generation and checksum at most. */
static bool of_one_device(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, 48) == 0 && memcmp(a + 56, b + 56, 24) == 0 &&
	       memcmp(a + 88, b + 88, CRC_AT - 88) == 0;
}

static bool is_sealed(uint8_t *super)
{
	return number_at(super + CRC_AT, 4) == (uint32_t)~crc32_iscsi(super, CRC_AT, ~0u);
}

/* The superblock that an open goes by: as GROWTH in kmemblk-format(5) has it, the copy where the primary was cut. */
static uint8_t *find_super(void)
{
	uint8_t *copy = bytes + (image.pages - 1) * PAGE;

	if (is_sealed(bytes))
		return bytes;
	EXPECT(of_one_device(bytes, copy) &&
		       number_at(bytes + CRC_AT, 4) == number_at(copy + CRC_AT, 4) &&
		       number_at(copy + 48, 8) == image.pages &&
		       number_at(bytes + 48, 8) <= image.pages && number_at(copy + 80, 8) > 1 &&
		       number_at(copy + 80, 8) - number_at(bytes + 80, 8) <= 1,
	       "a primary was accepted that no growth has left");
	return copy;
}

static bool is_growing(const uint8_t *super)
{
	uint8_t *copy = bytes + (image.pages - 1) * PAGE;

	return is_sealed(copy) && of_one_device(super, copy) &&
	       number_at(copy + 48, 8) == image.pages && number_at(super + 48, 8) < image.pages &&
	       number_at(copy + 80, 8) == number_at(super + 80, 8) + 1;
}

void view_look(struct view *view)
{
	uint8_t *super;

	memset(view, 0, sizeof(*view));
	memset(bytes, 0, sizeof(bytes));
	EXPECT(pread(fuzz_fd, bytes, image.pages * PAGE, 0) == (ssize_t)(image.pages * PAGE),
	       "cannot read back the device");
	super = find_super();
	expect_super(super);
	view->growing = is_growing(super);
	view->checks = number_at(super + 44, 4) == 1;
	view->directory = number_at(super + 64, 8);
	view->data_start = 1 + 2 * view->directory;
	view->data_end = number_at(super + 48, 8) - 1;
	view->ro_compat = number_at(super + 24, 8);
	for (unsigned int i = 0; i < view->directory * ENTRIES; i++)
		look_at_volume(view, i);
	view_relate(view);
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

bool view_is_zero(const uint8_t *page)
{
	return all_zero(page, PAGE);
}

void view_expect_flawless(const struct view *view)
{
	EXPECT(memcmp(bytes, bytes + view->data_end * PAGE, PAGE) == 0,
	       "the copy differs, and check finds nothing");
	EXPECT(view_damage(view) == 0, "damage, and check finds nothing");
}
