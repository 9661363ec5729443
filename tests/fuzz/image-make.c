/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image-make.c - make the device that an input tells: see fuzz-image.c.
 */
#include "config.h"

#include <isa-l/crc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image.h"
#include "media/crc24.h"

#define SUPER_BYTES 176u
#define RECORD_CRC  4084u
#define ROOT	    4088u

#define WRONG_PAGE   0x1fu /* bits 34-38 of the page */
#define WRONG_CHECK  0x20u /* another check value */
#define NO_CHECK     0x40u /* check value 0 */
#define WRONG_PARITY 0x80u

struct image image;

/* Entries of blocks, put when all pages are as they will be. */
static struct {
	uint64_t at, page, family, block;
	uint8_t wrong;
} pending[TARGETS_MAX];
static unsigned int pendings;

static uint8_t *page_at(uint64_t page)
{
	image.touched[page] = true;
	return image.bytes + page * PAGE;
}

static void put_number(uint64_t at, unsigned int width, uint64_t value)
{
	for (unsigned int i = 0; i < width; i++)
		page_at(at / PAGE)[at % PAGE + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_number(uint64_t at, unsigned int width)
{
	return number_at(image.bytes + at, width);
}

static void seal(uint64_t page, unsigned int at)
{
	put_number(page * PAGE + at, 4, ~crc32_iscsi(image.bytes + page * PAGE, (int)at, ~0u));
}

/* ---- superblocks ----------------------------------------------------------------------------- */

static void put_supers(struct input *input)
{
	uint8_t first[PAGE] = { 0 }, second[PAGE];
	uint64_t copy_page;

	for (unsigned int i = 0; i < SUPER_BYTES; i++)
		first[i] = (uint8_t)input_number(input, 1);
	memcpy(second, first, PAGE);
	for (unsigned int i = 0; i < SUPER_BYTES; i++)
		second[i] ^= (uint8_t)input_number(input, 1);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t at = input_number(input, 2) % PAGE;

		first[at] ^= (uint8_t)input_number(input, 1);
		second[at] ^= (uint8_t)input_number(input, 1);
	}
	copy_page = image.flags & FLAG_COPY_AT_END ? image.pages - 1 : number_at(first + 48, 8) - 1;
	if (!(image.flags & FLAG_NO_COPY) && copy_page < image.pages) {
		memcpy(page_at(copy_page), second, PAGE);
		if (image.flags & FLAG_SEAL_COPY)
			seal(copy_page, CRC_AT);
	}
	memcpy(page_at(0), first, PAGE);
	if (image.flags & FLAG_SEAL)
		seal(0, CRC_AT);
}

/* ---- entries --------------------------------------------------------------------------------- */

static void put_entry(uint64_t at, uint64_t page, uint32_t check, uint64_t wrong)
{
	uint64_t entry = page | (wrong & WRONG_PAGE) << 34;

	if (wrong & NO_CHECK)
		check = 0;
	if (wrong & WRONG_CHECK)
		check ^= 1;
	entry |= (uint64_t)check << 39;
	entry |= (uint64_t)__builtin_parityll(entry) << 63;
	put_number(at, 8, wrong & WRONG_PARITY ? entry ^ 1ull << 63 : entry);
}

/* Pages of the directory, as far as there can be so many. */
static uint64_t directory_pages(void)
{
	uint64_t pages = get_number(64, 8);

	return pages >= 1 && pages <= 128 ? pages : 1;
}

/* Where an entry of the directory is, or of its copy; 0: past the device. */
static uint64_t directory_at(unsigned int number, bool copy)
{
	uint64_t at = (1 + (copy ? directory_pages() : 0)) * PAGE + 8 * number;

	return at < image.pages * PAGE ? at : 0;
}

/* One that names a record, in the directory, its copy, or both. */
static void put_directory(unsigned int number, uint64_t page, unsigned int as, bool first,
			  bool copy, uint64_t wrong)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t at = directory_at(number, i == 1);

		if ((i == 0 ? first : copy) && at != 0)
			put_entry(at, page, crc24_place(0, page, 63, as), wrong);
	}
}

/* A page that holds nothing yet, from the end of what the format uses; 0 for none. */
static uint64_t free_page(void)
{
	uint64_t end = get_number(48, 8), page;

	page = (end < image.pages ? end : image.pages) - 2;
	while (page < image.pages && page > 2 && image.touched[page])
		page--;
	if (page >= image.pages)
		return 0;
	return page > 2 ? page : 0;
}

/*
 * Where the entry is that names what is at a level on the way to a block, tables that are missing made; 0 if
 * the way leads out of the device.
 */
static uint64_t walk(uint64_t record, uint64_t family, uint64_t block, unsigned int until)
{
	unsigned int height = (unsigned int)(get_number(record * PAGE + 8, 4) & 7);
	uint64_t at = record * PAGE + ROOT;

	for (unsigned int level = height; level > until; level--) {
		uint64_t page = get_number(at, 8) & PAGE_MASK;

		if (page == 0) {
			page = free_page();
			if (page == 0)
				return 0;
			page_at(page);
			put_entry(at, page, crc24_place(family, page, level, block >> 9 * level),
				  0);
		}
		if (page >= image.pages)
			return 0;
		at = page * PAGE + 8 * (block >> 9 * (level - 1) & (ENTRIES - 1));
	}
	return at;
}

static void set_entry(struct input *input)
{
	unsigned int number = (unsigned int)(input_number(input, 2) % VOLUMES_MAX);
	unsigned int level = (unsigned int)(input_number(input, 1) % 6);
	uint64_t low = input_number(input, 2), block = low << input_number(input, 1) % 24;
	uint64_t page = input_number(input, 2), wrong = input_number(input, 1);
	uint64_t first = directory_at(number, false), family, at;
	uint64_t record = first == 0 ? 0 : get_number(first, 8) & PAGE_MASK;

	if (record < 3 || record >= image.pages)
		return;
	family = get_number(record * PAGE + 24, 8);
	at = walk(record, family, block, level);
	if (at == 0 || image.targets == TARGETS_MAX || pendings == TARGETS_MAX)
		return;
	image.target[image.targets++] = (struct target){ number, block };
	if (page == 0 && wrong == 0) {
		put_number(at, 8, 0);
	} else if (level > 0) {
		put_entry(at, page, crc24_place(family, page, level, block >> 9 * level), wrong);
	} else {
		pending[pendings].at = at;
		pending[pendings].page = page;
		pending[pendings].family = family;
		pending[pendings].block = block;
		pending[pendings++].wrong = (uint8_t)wrong;
	}
}

/* ---- records --------------------------------------------------------------------------------- */

#define HOW_DEFAULT   0x01u
#define HOW_UNSEALED  0x02u
#define HOW_NO_COPY   0x04u
#define HOW_ONLY_COPY 0x08u
#define HOW_NAME_OF_0 0x10u
#define HOW_ELSEWHERE 0x20u /* the entry is that of the next number */
#define HOW_RESERVED  0x40u
#define HOW_NO_CHECK  0x80u

/* That of a number of the directory. */
static void put_uuid(uint64_t at, uint64_t number)
{
	put_number(at, 8, 0x5555000000000000 + number);
	put_number(at + 8, 8, 0xaaaa000000000000 + number);
}

/* `height` 0: as it must be. */
static void put_volume(unsigned int number, uint64_t page, uint64_t height, uint64_t blocks,
		       uint64_t how)
{
	char name[64] = "";

	put_directory(number, page, number + !!(how & HOW_ELSEWHERE), !(how & HOW_ONLY_COPY),
		      !(how & HOW_NO_COPY), how & HOW_NO_CHECK ? NO_CHECK : 0);
	if (page < 3 || page >= image.pages)
		return;
	for (height += height == 0; height < 5 && blocks > 1ull << 9 * height;)
		height++;
	snprintf(name, sizeof(name), "v%u", how & HOW_NAME_OF_0 ? 0 : number);
	memcpy(page_at(page), "KMEMREC\n", 8);
	put_number(page * PAGE + 8, 4, height);
	put_number(page * PAGE + 12, 4, how & HOW_DEFAULT);
	put_number(page * PAGE + 16, 8, blocks);
	put_number(page * PAGE + 24, 8, 0x0123456789abcdefull * (number + 1ull));
	put_uuid(page * PAGE + 40, number);
	memcpy(page_at(page) + 56, name, sizeof(name));
	page_at(page)[300] = how & HOW_RESERVED ? 1 : 0;
	if (!(how & HOW_UNSEALED))
		seal(page, RECORD_CRC);
}

static uint64_t size_of(struct input *input)
{
	uint64_t blocks = input_number(input, 2);

	return blocks << input_number(input, 1) % 40;
}

static void one_volume(struct input *input)
{
	unsigned int number = (unsigned int)(input_number(input, 2) % VOLUMES_MAX);
	uint64_t page = input_number(input, 2), height = input_number(input, 1);
	uint64_t blocks = size_of(input);

	put_volume(number, page, height, blocks, input_number(input, 1));
}

static void many_volumes(struct input *input)
{
	uint64_t count = input_number(input, 2) % (VOLUMES_MAX + 1), page = input_number(input, 2);
	uint64_t height = input_number(input, 1), blocks = size_of(input);
	uint64_t how = input_number(input, 1);

	for (unsigned int i = 0; i < count; i++)
		put_volume(i, page + i, height, blocks, how);
}

static void directory_entry(struct input *input)
{
	unsigned int number = (unsigned int)(input_number(input, 2) % VOLUMES_MAX);
	uint64_t page = input_number(input, 2), as = input_number(input, 2);
	uint64_t which = input_number(input, 2), wrong = input_number(input, 1);

	if (page == 0 && wrong == 0) {
		for (unsigned int i = 0; i < 2; i++)
			if (which >> i & 1 && directory_at(number, i == 1) != 0)
				put_number(directory_at(number, i == 1), 8, 0);
		return;
	}
	put_directory(number, page, (number + (unsigned int)as) % VOLUMES_MAX, which & 1, which & 2,
		      wrong);
}

static void poke(struct input *input)
{
	uint64_t page = input_number(input, 2), at = input_number(input, 2) % (PAGE - 4);
	uint64_t value = input_number(input, 4), sealed = input_number(input, 1);

	if (page < 1 || page >= image.pages)
		return;
	put_number(page * PAGE + at, 4, get_number(page * PAGE + at, 4) ^ value);
	if (sealed & 1)
		seal(page, RECORD_CRC);
}

/* ---- snapshots and clones --------------------------------------------------------------------- */

#define KIN_SNAPSHOT	 0x01u
#define KIN_ORIGIN	 0x02u
#define KIN_OTHER_FAMILY 0x04u
#define KIN_ROOT	 0x08u
#define KIN_SAME_UUID	 0x10u /* as the volume, or the origin */
#define KIN_UNSEALED	 0x20u
#define KIN_LARGE	 0x40u /* sequences from the end of all */
#define KIN_ALL		 0x80u /* and the numbers that follow, each a sequence further */

/* The page of a volume's record; 0: it has none. */
static uint64_t record_of(uint64_t number)
{
	uint64_t at = directory_at((unsigned int)(number % VOLUMES_MAX), false);
	uint64_t page = at == 0 ? 0 : get_number(at, 8) & PAGE_MASK;

	return page < 3 || page >= image.pages ? 0 : page;
}

/* What a statement says of one volume, or of many. */
struct relation {
	uint64_t volume, origin, root, sequence, how;
};

static void relate_one(uint64_t record, const struct relation *r)
{
	uint64_t at = record * PAGE, whose = r->how & KIN_SNAPSHOT ? r->volume : r->origin;
	uint64_t kin = record_of(whose), root = record_of(r->root);

	if (r->how & KIN_SNAPSHOT) {
		put_number(at + 12, 4, 2);
		put_uuid(at + 120, r->volume);
		put_number(at + 152, 8, r->how & KIN_LARGE ? 0 - r->sequence : r->sequence);
	}
	if (r->how & KIN_ORIGIN)
		put_uuid(at + 136, r->origin);
	if (r->how & KIN_SAME_UUID)
		put_uuid(at + 40, whose);
	if (!(r->how & KIN_OTHER_FAMILY) && kin != 0)
		put_number(at + 24, 8, get_number(kin * PAGE + 24, 8));
	if (r->how & KIN_ROOT && root != 0)
		put_number(at + ROOT, 8, get_number(root * PAGE + ROOT, 8));
	if (!(r->how & KIN_UNSEALED))
		seal(record, RECORD_CRC);
}

static void relate(struct input *input)
{
	uint64_t number = input_number(input, 2) % VOLUMES_MAX;
	struct relation r;

	r.volume = input_number(input, 2);
	r.origin = input_number(input, 2);
	r.root = input_number(input, 1);
	r.sequence = input_number(input, 1);
	r.how = input_number(input, 1);
	while (number < directory_pages() * ENTRIES && record_of(number) != 0) {
		relate_one(record_of(number++), &r);
		r.sequence++;
		if (!(r.how & KIN_ALL))
			return;
	}
}

/* A copy of a table, and what is pending in it; 0 for none. */
static uint64_t copy_table(uint64_t page)
{
	uint64_t copy = free_page();
	unsigned int n = pendings;

	if (copy == 0 || page < 3 || page >= image.pages)
		return 0;
	memcpy(page_at(copy), image.bytes + page * PAGE, PAGE);
	for (unsigned int i = 0; i < n && pendings < TARGETS_MAX; i++)
		if (pending[i].at / PAGE == page) {
			pending[pendings] = pending[i];
			pending[pendings++].at = copy * PAGE + pending[i].at % PAGE;
		}
	return copy;
}

static void own_tables(struct input *input)
{
	uint64_t record = record_of(input_number(input, 2)), until = input_number(input, 1) % 6;
	uint64_t low = input_number(input, 2), block = low << input_number(input, 1) % 24;
	uint64_t family = get_number(record * PAGE + 24, 8), at = record * PAGE + ROOT;
	unsigned int height = (unsigned int)(get_number(record * PAGE + 8, 4) & 7);

	if (record == 0)
		return;
	for (unsigned int level = height; level > 0 && level >= until; level--) {
		uint64_t page = copy_table(get_number(at, 8) & PAGE_MASK);

		if (page == 0)
			return;
		put_entry(at, page, crc24_place(family, page, level, block >> 9 * level), 0);
		at = page * PAGE + 8 * (block >> 9 * (level - 1) & (ENTRIES - 1));
	}
}

/* ---- all ------------------------------------------------------------------------------------- */

/* Each page that is named as a block's gets contents, then its entry. */
static void put_blocks(void)
{
	bool checks = image.bytes[44] != 0;

	for (unsigned int i = 0; i < pendings; i++) {
		uint64_t page = pending[i].page;

		if (page < 3 || page >= image.pages || image.touched[page] ||
		    (image.flags & FLAG_DATA_HOLES && page % 2 == 1))
			continue;
		for (unsigned int at = 0; at < PAGE; at += 8)
			put_number(page * PAGE + at, 8, page * 0x0101010101010101 + at);
	}
	for (unsigned int i = 0; i < pendings; i++) {
		struct crc24_prefix prefix = { pending[i].family, pending[i].block };
		uint64_t page = pending[i].page;

		put_entry(pending[i].at, page,
			  checks && page < image.pages
				  ? crc24_page(prefix, image.bytes + page * PAGE)
				  : 0,
			  pending[i].wrong);
	}
}

static void put_all(struct input *input)
{
	static void (*const statements[])(struct input * input) = {
		set_entry, one_volume, directory_entry, poke, many_volumes, relate, own_tables,
	};

	while (input->size > 0) {
		uint64_t which = input_number(input, 1);

		/* All are of ten bytes. */
		struct input rest = { input->data, input->size < 9 ? input->size : 9 };

		statements[which % (sizeof(statements) / sizeof(statements[0]))](&rest);
		input_number(input, 8);
		input_number(input, 1);
	}
	put_blocks();
}

void image_make(struct input *input)
{
	image.flags = (unsigned int)input_number(input, 1);
	image.pages = input_number(input, 2) % (PAGES_MAX + 1);
	image.device_size = image.pages * PAGE + input_number(input, 1) * 16;
	fuzz_device(image.device_size);
	if (image.pages == 0)
		return;
	put_supers(input);
	if (image.pages > 3)
		put_all(input);
	for (uint64_t page = 0; page < image.pages; page++)
		EXPECT(!image.touched[page] || pwrite(fuzz_fd, image.bytes + page * PAGE, PAGE,
						      (off_t)(page * PAGE)) == PAGE,
		       "cannot write page %llu", (unsigned long long)page);
}

void image_forget(void)
{
	for (uint64_t page = 0; page < PAGES_MAX; page++)
		if (image.touched[page])
			memset(image.bytes + page * PAGE, 0, PAGE);
	memset(image.touched, 0, sizeof(image.touched));
	image.targets = pendings = 0;
}
