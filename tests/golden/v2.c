/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v2.c - the stored image of format version 2 is what kmemblk-format(5) says, opens, and reads as
 * it did.
 *
 * The bytes are taken apart here with the numbers of the manual page, not those of layout.h, so
 * that a change of the format cannot change the test along with the library.
 */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define PAGES 700u
#define COPY  ((PAGES - 1) * PAGE)

#define FAMILY 0x0123456789abcdef

/* ---- the image, from od(1)'s text ------------------------------------------------------------ */

#define LINE 32u

static uint8_t image[PAGES * PAGE];

static void parse_line(const char *text, uint8_t *line)
{
	for (unsigned int i = 0; i < LINE; i++) {
		unsigned int byte;
		int used = 0;

		ck_assert_int_eq(sscanf(text, "%2x%n", &byte, &used), 1);
		line[i] = (uint8_t)byte;
		text += used;
	}
}

/* A line is an offset and its bytes; "*" stands for repetitions of the line before it. */
static void read_image(void)
{
	const char *source = getenv("abs_top_srcdir");
	char path[4096], text[256];
	uint8_t line[LINE] = { 0 };
	uint64_t at = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/golden/v2.od", source == NULL ? "../.." : source);
	file = fopen(path, "re");
	ck_assert_msg(file != NULL, "%s cannot be read", path);
	while (fgets(text, sizeof(text), file) != NULL) {
		char *bytes;
		uint64_t offset;

		if (text[0] == '*')
			continue;
		offset = strtoull(text, &bytes, 16);
		for (; at < offset; at += LINE)
			memcpy(image + at, line, LINE);
		if (at < sizeof(image)) {
			parse_line(bytes, line);
			memcpy(image + at, line, LINE);
			at += LINE;
		}
	}
	ck_assert_uint_eq(at, sizeof(image));
	fclose(file);
}

/* unit_device becomes the image, with holes where it has zeroes. */
static void make(void)
{
	read_image();
	unit_make_file(unit_device, sizeof(image));
	for (uint64_t page = 0; page < PAGES; page++)
		if (!unit_is_zero(image + page * PAGE, PAGE))
			unit_poke(page * PAGE, image + page * PAGE, PAGE);
}

static bool says(const uint8_t *page, const char *text)
{
	for (unsigned int i = 0; i < PAGE; i += 16)
		if (memcmp(page + i, text, 16) != 0)
			return false;
	return true;
}

/* What each block holds: a text again and again; NULL for zeroes.  Block 1 is apart. */
static const char *text_of(uint64_t block)
{
	switch (block) {
	case 0:
		return "the first block ";
	case 5:
		return "the replacement ";
	case 511:
		return "end of a leaf   ";
	case 512:
		return "begin of a leaf ";
	case 519:
		return "the last block  ";
	default:
		return NULL;
	}
}

static bool is_right(uint64_t block, const uint8_t *page)
{
	const char *text = text_of(block);

	if (block == 1)
		return unit_is_zero(page, 100) &&
		       memcmp(page + 100, "a part of a block", 17) == 0 &&
		       unit_is_zero(page + 117, PAGE - 117);
	return text == NULL ? unit_is_zero(page, PAGE) : says(page, text);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static uint64_t number(uint64_t at, unsigned int width)
{
	uint64_t value = 0;

	while (width-- > 0)
		value = value << 8 | image[at + width];
	return value;
}

/* CRC-24 of family, number and contents, a bit at a time. */
static uint64_t check_value(uint64_t block, const uint8_t *page)
{
	uint64_t before[2] = { htole64(FAMILY), htole64(block) };
	uint32_t value = 0;

	for (unsigned int i = 0; i < sizeof(before) + PAGE; i++) {
		value ^= i < sizeof(before) ? ((const uint8_t *)before)[i]
					    : page[i - sizeof(before)];
		for (unsigned int bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? 0xdf3261 : 0);
	}
	return value;
}

static void expect_superblock(uint64_t at)
{
	static const uint8_t uuid[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4c, 0xde,
					  0x8f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd };

	ck_assert_mem_eq(image + at, "KMEMBLK\n", 8);
	ck_assert_uint_eq(number(at + 8, 4), 2);	    /* version */
	ck_assert_uint_eq(number(at + 12, 4), 1);	    /* type: blk */
	ck_assert(unit_is_zero(image + at + 16, 24));	    /* feature words */
	ck_assert_uint_eq(number(at + 40, 4), 4096);	    /* page size */
	ck_assert_uint_eq(number(at + 44, 4), 1);	    /* check: CRC-24 */
	ck_assert_uint_eq(number(at + 48, 8), 700);	    /* device pages */
	ck_assert_uint_eq(number(at + 56, 8), 1);	    /* index start */
	ck_assert_uint_eq(number(at + 64, 8), 2);	    /* index pages */
	ck_assert_uint_eq(number(at + 72, 8), 520);	    /* blocks */
	ck_assert_uint_eq(number(at + 80, 8), 20);	    /* spare pages */
	ck_assert_uint_eq(number(at + 88, 8), 1);	    /* generation */
	ck_assert_uint_eq(number(at + 96, 8), 10000000000); /* created */
	ck_assert_mem_eq(image + at + 104, uuid, 16);
	ck_assert_str_eq((const char *)image + at + 120, "golden \xc3\xa9 v2");
	ck_assert(unit_is_zero(image + at + 132, 184 - 132));
	ck_assert_uint_eq(number(at + 184, 8), FAMILY);
	ck_assert(unit_is_zero(image + at + 192, 4092 - 192));
	ck_assert_uint_eq(number(at + 4092, 4), unit_crc32c(image + at, 4092));
}

START_TEST(test_bytes_are_as_documented)
{
	static const uint64_t mapped[] = { 0, 1, 5, 7, 511, 512, 519 };
	unsigned int next = 0;

	read_image();
	expect_superblock(0);
	expect_superblock(COPY);
	for (uint64_t block = 0; block < 1024; block++) {
		uint64_t entry = number(4096 + block * 8, 8), page;

		if (next == 7 || block != mapped[next]) {
			ck_assert_uint_eq(entry, 0);
			continue;
		}
		next++;
		page = entry & 0x7fffffffff;
		ck_assert(page >= 3 && page <= 698);
		ck_assert(is_right(block, image + page * 4096));
		ck_assert_uint_eq(entry >> 39 & 0xffffff, check_value(block, image + page * 4096));
		ck_assert_int_eq(__builtin_popcountll(entry) % 2, 0);
	}
	ck_assert_uint_eq(next, 7);
}
END_TEST

/* ---- by the library -------------------------------------------------------------------------- */

static void expect_contents(struct kmemblk *h)
{
	uint8_t page[PAGE];

	for (uint64_t block = 0; block < 520; block++) {
		ck_assert_int_eq(kmemblk_read(h, page, PAGE, block * PAGE), 0);
		ck_assert_msg(is_right(block, page), "block %llu", (unsigned long long)block);
	}
}

START_TEST(test_opens_and_reads)
{
	struct kmemblk_info info;
	struct kmemblk *h;

	make();
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
		ck_assert_uint_eq(info.index_pages, 2);
		ck_assert_uint_eq(info.data_pages, 696);
		ck_assert_uint_eq(info.blocks, 520);
		ck_assert_uint_eq(info.pages_spare, 20);
		ck_assert_uint_eq(info.pages_used, 7);
		expect_contents(h);
		kmemblk_close(h);
	}
}
END_TEST

START_TEST(test_is_written_to)
{
	struct kmemblk *h;

	make();
	h = unit_open(0);
	for (uint64_t block = 100; block < 400; block++)
		unit_write(h, block, block);
	ck_assert_int_eq(kmemblk_trim(h, 300 * PAGE, 100 * PAGE), 0);
	expect_contents(h);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_the_same_is_written_today)
{
	uint8_t page[PAGE];

	read_image();
	unit_format_with(&(struct kmemblk_format_options){ .label = "golden \xc3\xa9 v2",
							   .create_size = PAGES * PAGE,
							   .disk_size = 520 * PAGE,
							   .spare_pages = 20 });
	/* But for what is different each time. */
	for (unsigned int i = 0; i < 2; i++) {
		unit_poke(i * COPY + 96, image + 96, 24);
		unit_poke(i * COPY + 184, image + 184, 8);
		unit_seal(i * (PAGES - 1));
		unit_peek(i * COPY, page, PAGE);
		ck_assert_mem_eq(page, image, PAGE);
	}
}
END_TEST

UNIT_MAIN("v2", test_bytes_are_as_documented, test_opens_and_reads, test_is_written_to,
	  test_the_same_is_written_today)
