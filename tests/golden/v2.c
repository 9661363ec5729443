/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v2.c - the stored image of format version 2 is what kmemblk-format(5) says, opens, and reads as
 * it did.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image.h"
#include "common/disk.h"

#define PAGES 700u
#define COPY  ((PAGES - 1) * PAGE)

/* The volumes, as the manual page and make-v2.c have them. */
struct volume {
	const char *name;
	uint64_t family, blocks;
	unsigned int height;
	bool is_default;
	unsigned int tables; /* the record included */
	uint64_t mapped[8];  /* blocks that have pages ... */
	unsigned int count;  /* ... so many */
};

static const struct volume volumes[] = {
	{ "kmem0", 0x0123456789abcdef, 520, 2, true, 4, { 0, 1, 5, 7, 511, 512, 519 }, 7 },
	{ "tall", 0xfedcba9876543210, 300000, 3, false, 7, { 0, 262144, 299999 }, 3 },
};
#define VOLUMES (sizeof(volumes) / sizeof(volumes[0]))

/* What each block holds: a text again and again; NULL for zeroes.  Block 1 of the first is apart. */
static const char *text_of(const struct volume *volume, uint64_t block)
{
	static const struct {
		unsigned int volume;
		uint64_t block;
		const char *text;
	} texts[] = {
		{ 0, 0, "the first block " },	   { 0, 5, "the replacement " },
		{ 0, 511, "end of a leaf   " },	   { 0, 512, "begin of a leaf " },
		{ 0, 519, "the last block  " },	   { 1, 0, "first of tall   " },
		{ 1, 262144, "a second branch " }, { 1, 299999, "last of tall    " },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (volume == &volumes[texts[i].volume] && block == texts[i].block)
			return texts[i].text;
	return NULL;
}

static bool is_right(const struct volume *volume, uint64_t block, const uint8_t *page)
{
	const char *text = text_of(volume, block);

	if (volume == &volumes[0] && block == 1)
		return unit_is_zero(page, 100) &&
		       memcmp(page + 100, "a part of a block", 17) == 0 &&
		       unit_is_zero(page + 117, PAGE - 117);
	return text == NULL ? unit_is_zero(page, PAGE) : image_says(page, text);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void expect_superblock(uint64_t at)
{
	static const uint8_t uuid[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4c, 0xde,
					  0x8f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd };

	ck_assert_mem_eq(image + at, "KMEMBLK\n", 8);
	ck_assert_uint_eq(image_number(at + 8, 4), 2);		  /* version */
	ck_assert_uint_eq(image_number(at + 12, 4), 1);		  /* type: blk */
	ck_assert(unit_is_zero(image + at + 16, 24));		  /* feature words */
	ck_assert_uint_eq(image_number(at + 40, 4), 4096);	  /* page size */
	ck_assert_uint_eq(image_number(at + 44, 4), 1);		  /* check: CRC-24 */
	ck_assert_uint_eq(image_number(at + 48, 8), 700);	  /* device pages */
	ck_assert_uint_eq(image_number(at + 56, 8), 1);		  /* directory start */
	ck_assert_uint_eq(image_number(at + 64, 8), 1);		  /* directory pages */
	ck_assert_uint_eq(image_number(at + 72, 8), 20);	  /* spare pages */
	ck_assert_uint_eq(image_number(at + 80, 8), 1);		  /* generation */
	ck_assert_uint_eq(image_number(at + 88, 8), 10000000000); /* created */
	ck_assert_mem_eq(image + at + 96, uuid, 16);
	ck_assert_str_eq((const char *)image + at + 112, "golden \xc3\xa9 v2");
	ck_assert(unit_is_zero(image + at + 124, 4092 - 124));
	ck_assert_uint_eq(image_number(at + 4092, 4), unit_crc32c(image + at, 4092));
}

/* By no other entry so far. */
static uint64_t name(uint64_t page, bool *named)
{
	ck_assert_msg(!named[page], "page %llu is named twice", (unsigned long long)page);
	named[page] = true;
	return page;
}

static uint64_t expect_record(const struct volume *volume, unsigned int i, bool *named)
{
	static const uint8_t uuid[15] = { 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x43, 0x21,
					  0x8f, 0xed, 0xcb, 0xa9, 0x87, 0x65, 0x43 };
	uint64_t at = name(image_page_of_place(4096 + 8 * i, 0, 63, i), named) * 4096;
	size_t length = strlen(volume->name);

	ck_assert_mem_eq(image + at, "KMEMREC\n", 8);
	ck_assert_uint_eq(image_number(at + 8, 4), volume->height);
	ck_assert_uint_eq(image_number(at + 12, 4), volume->is_default);
	ck_assert_uint_eq(image_number(at + 16, 8), volume->blocks);
	ck_assert_uint_eq(image_number(at + 24, 8), volume->family);
	ck_assert_uint_eq(image_number(at + 32, 8), 10000000000); /* created */
	ck_assert_mem_eq(image + at + 40, uuid, 15);
	ck_assert_uint_eq(image[at + 55], i);
	ck_assert_mem_eq(image + at + 56, volume->name, length);
	ck_assert(unit_is_zero(image + at + 56 + length, 4084 - 56 - length));
	ck_assert_uint_eq(image_number(at + 4084, 4), unit_crc32c(image + at, 4084));
	return at + 4088;
}

/* What was found below a record: the blocks that have pages, in order, and how many tables. */
struct found {
	const struct volume *volume;
	bool *named;
	unsigned int blocks, tables;
};

static void expect_block(struct found *found, uint64_t at, uint64_t block)
{
	const uint8_t *contents = image + name(image_page_of(at), found->named) * 4096;

	ck_assert_uint_lt(found->blocks, found->volume->count);
	ck_assert_uint_eq(block, found->volume->mapped[found->blocks++]);
	ck_assert(is_right(found->volume, block, contents));
	ck_assert_uint_eq(image_number(at, 8) >> 39 & 0xffffff,
			  image_check_value(found->volume->family, block, contents));
}

/* The entry of what is at a place, and all below. */
static void expect_entry(struct found *found, uint64_t at, unsigned int level, uint64_t place)
{
	uint64_t page;

	if (image_number(at, 8) == 0)
		return;
	if (level == 0) {
		expect_block(found, at, place);
		return;
	}
	found->tables++;
	page = name(image_page_of_place(at, found->volume->family, level, place), found->named);
	for (unsigned int i = 0; i < 512; i++)
		expect_entry(found, page * 4096 + 8 * i, level - 1, 512 * place + i);
}

START_TEST(test_bytes_are_as_documented)
{
	bool named[PAGES] = { false };

	image_read("v2.od", PAGES);
	expect_superblock(0);
	expect_superblock(COPY);
	/* The directory, and its copy. */
	ck_assert(unit_is_zero(image + 4096 + 8 * VOLUMES, 4096 - 8 * VOLUMES));
	ck_assert_mem_eq(image + 2 * 4096, image + 4096, 4096);
	for (unsigned int i = 0; i < VOLUMES; i++) {
		struct found found = { .volume = &volumes[i], .named = named, .tables = 1 };
		uint64_t root = expect_record(&volumes[i], i, named);

		expect_entry(&found, root, volumes[i].height, 0);
		ck_assert_uint_eq(found.blocks, volumes[i].count);
		ck_assert_uint_eq(found.tables, volumes[i].tables);
	}
}
END_TEST

/* ---- by the library -------------------------------------------------------------------------- */

static void expect_contents(struct kmemblk *h)
{
	struct kmemblk_volume *v;
	uint8_t page[PAGE];

	for (unsigned int i = 0; i < VOLUMES; i++) {
		ck_assert_int_eq(kmemblk_volume_open(h, volumes[i].name, &v), 0);
		for (uint64_t block = 0; block < volumes[i].blocks; block++) {
			ck_assert_int_eq(kmemblk_read(v, page, PAGE, block * PAGE), 0);
			ck_assert_msg(is_right(&volumes[i], block, page), "%s: block %llu",
				      volumes[i].name, (unsigned long long)block);
		}
		ck_assert_int_eq(kmemblk_read(v, page, 1, volumes[i].blocks * PAGE), -EINVAL);
		kmemblk_volume_close(v);
	}
}

static int expect_volume(void *opaque, const struct kmemblk_volume_info *info)
{
	unsigned int *i = opaque;
	char uuid[37];

	ck_assert_uint_lt(*i, VOLUMES);
	snprintf(uuid, sizeof(uuid), "fedcba98-7654-4321-8fed-cba9876543%02x", *i);
	ck_assert_str_eq(info->name, volumes[*i].name);
	ck_assert_str_eq(info->uuid, uuid);
	ck_assert_uint_eq(info->created, 10000000000);
	ck_assert_uint_eq(info->blocks, volumes[*i].blocks);
	ck_assert_uint_eq(info->pages_used, volumes[*i].count);
	ck_assert_int_eq(info->is_default, volumes[*i].is_default);
	(*i)++;
	return 0;
}

static void expect_volumes(struct kmemblk *h)
{
	unsigned int count = 0;

	ck_assert_int_eq(kmemblk_volume_list(h, expect_volume, &count), 0);
	ck_assert_uint_eq(count, VOLUMES);
}

START_TEST(test_opens_and_reads)
{
	struct kmemblk_info info;
	struct kmemblk *h;

	image_make("v2.od", PAGES);
	unit_expect_clean();
	for (unsigned int flags = 0; flags < 2; flags++) {
		h = unit_open(flags);
		kmemblk_get_info(h, &info);
		ck_assert_str_eq(info.type, "blk");
		ck_assert_str_eq(info.uuid, "01234567-89ab-4cde-8f01-23456789abcd");
		ck_assert_str_eq(info.label, "golden \xc3\xa9 v2");
		ck_assert_uint_eq(info.format_version, 2);
		ck_assert_uint_eq(info.page_size, 4096);
		ck_assert_uint_eq(info.generation, 1);
		ck_assert_uint_eq(info.created, 10000000000);
		ck_assert_uint_eq(info.device_pages, 700);
		ck_assert_uint_eq(info.data_pages, 696);
		ck_assert_uint_eq(info.volumes, 2);
		ck_assert_uint_eq(info.blocks, 520);
		ck_assert_uint_eq(info.pages_spare, 20);
		ck_assert_uint_eq(info.pages_used, 10);
		ck_assert_uint_eq(info.pages_tables, 11);
		ck_assert_uint_eq(info.entries_damaged, 0);
		expect_volumes(h);
		expect_contents(h);
		kmemblk_close(h);
	}
}
END_TEST

START_TEST(test_is_written_to)
{
	struct kmemblk_volume *v;
	struct kmemblk *h;
	uint8_t page[PAGE];

	image_make("v2.od", PAGES);
	h = unit_open(0);
	for (uint64_t block = 100; block < 400; block++)
		unit_write(h, block, block);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 300 * PAGE, 100 * PAGE), 0);
	ck_assert_int_eq(kmemblk_volume_open(h, "tall", &v), 0);
	memset(page, 'x', PAGE);
	for (uint64_t block = 200000; block < 200000 + 100 * 512; block += 512)
		ck_assert_int_eq(kmemblk_write(v, page, PAGE, block * PAGE), 0);
	ck_assert_int_eq(kmemblk_trim(v, 60000 * PAGE, 200000 * PAGE), 0);
	kmemblk_volume_close(v);
	expect_contents(h);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_volumes_are_changed)
{
	struct kmemblk *h;

	image_make("v2.od", PAGES);
	h = unit_open(0);
	ck_assert_int_eq(kmemblk_volume_create(h, "third", 10 * PAGE, 0), 0);
	/* Higher by a level, and back. */
	ck_assert_int_eq(kmemblk_volume_resize(h, "tall", (1ull << 28) * PAGE, 0), 0);
	kmemblk_close(h);
	unit_expect_clean();
	h = unit_open(0);
	ck_assert_int_eq(kmemblk_volume_resize(h, "tall", 300000ull * PAGE, 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "third", 0), 0);
	expect_volumes(h);
	expect_contents(h);
	ck_assert_int_eq(kmemblk_volume_delete(h, "tall", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0", 0), 0);
	ck_assert_uint_eq(unit_info(h).pages_used + unit_info(h).pages_tables, 0);
	unit_close_clean(h);
}
END_TEST

/* Superblocks and the first record; what else depends on the family, which is at random. */
START_TEST(test_the_same_is_written_today)
{
	uint8_t page[PAGE];

	image_read("v2.od", PAGES);
	unit_format_with(&(struct kmemblk_format_options){ .label = "golden \xc3\xa9 v2",
							   .create_size = PAGES * PAGE,
							   .disk_size = 520 * PAGE,
							   .spare_pages = 20 });
	/* But for what is different each time. */
	for (unsigned int i = 0; i < 2; i++) {
		unit_poke(i * COPY + 88, image + 88, 24);
		unit_seal(i * (PAGES - 1));
		unit_peek(i * COPY, page, PAGE);
		ck_assert_mem_eq(page, image, PAGE);
	}
	ck_assert_uint_eq(unit_record(), 3);
	ck_assert_uint_eq(unit_peek_number(PAGE, 8), image_number(PAGE, 8));
	ck_assert_uint_eq(unit_peek_number(2 * PAGE, 8), image_number(2 * PAGE, 8));
	unit_poke(3 * PAGE + 24, image + 3 * PAGE + 24, 32);
	unit_seal_record(3);
	unit_peek(3 * PAGE, page, PAGE);
	ck_assert_mem_eq(page, image + 3 * PAGE, PAGE - 8);
}
END_TEST

UNIT_MAIN("v2", test_bytes_are_as_documented, test_opens_and_reads, test_is_written_to,
	  test_volumes_are_changed, test_the_same_is_written_today)
