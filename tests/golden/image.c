/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image.c - a stored image, and its bytes by the numbers of kmemblk-format(5).
 *
 * They are taken apart here with the numbers of the manual page, not those of layout.h, so that a change of the
 * format cannot change the test along with the library.
 */
#include "config.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"

#define LINE 32u

uint8_t image[IMAGE_PAGES_MAX * PAGE];
static uint64_t image_pages;

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
void image_read(const char *name, uint64_t pages)
{
	const char *source = getenv("abs_top_srcdir");
	char path[4096], text[256];
	uint8_t line[LINE] = { 0 };
	uint64_t at = 0;
	FILE *file;

	ck_assert_uint_le(pages, IMAGE_PAGES_MAX);
	image_pages = pages;
	snprintf(path, sizeof(path), "%s/tests/golden/%s", source == NULL ? "../.." : source, name);
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
		if (at < pages * PAGE) {
			parse_line(bytes, line);
			memcpy(image + at, line, LINE);
			at += LINE;
		}
	}
	ck_assert_uint_eq(at, pages * PAGE);
	fclose(file);
}

void image_make(const char *name, uint64_t pages)
{
	image_read(name, pages);
	unit_make_file(unit_device, pages * PAGE);
	for (uint64_t page = 0; page < pages; page++)
		if (!unit_is_zero(image + page * PAGE, PAGE))
			unit_poke(page * PAGE, image + page * PAGE, PAGE);
}

uint64_t image_number(uint64_t at, unsigned int width)
{
	uint64_t value = 0;

	while (width-- > 0)
		value = value << 8 | image[at + width];
	return value;
}

/* CRC-24, a bit at a time, begun with `value`. */
static uint32_t crc24(uint32_t value, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		value ^= ((const uint8_t *)bytes)[i];
		for (unsigned int bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? 0xdf3261 : 0);
	}
	return value;
}

/* Of family, number and contents. */
uint64_t image_check_value(uint64_t family, uint64_t block, const uint8_t *page)
{
	uint64_t before[2] = { htole64(family), htole64(block) };

	return crc24(crc24(0, before, sizeof(before)), page, PAGE);
}

/* Of family, page, level and number. */
uint64_t image_place_value(uint64_t family, uint64_t page, uint64_t level, uint64_t place)
{
	uint64_t words[4] = { htole64(family), htole64(page), htole64(level), htole64(place) };

	return crc24(0, words, sizeof(words));
}

uint64_t image_page_of(uint64_t at)
{
	uint64_t entry = image_number(at, 8), page = entry & 0x7fffffffff;

	ck_assert_uint_gt(page, 2 * image_number(64, 8));
	ck_assert_uint_lt(page, image_pages - 1);
	ck_assert_int_eq(__builtin_popcountll(entry) % 2, 0);
	return page;
}

uint64_t image_page_of_place(uint64_t at, uint64_t family, unsigned int level, uint64_t place)
{
	uint64_t page = image_page_of(at);

	ck_assert_uint_eq(image_number(at, 8) >> 39 & 0xffffff,
			  image_place_value(family, page, level, place));
	return page;
}

bool image_says(const uint8_t *page, const char *text)
{
	for (unsigned int i = 0; i < PAGE; i += 16)
		if (memcmp(page + i, text, 16) != 0)
			return false;
	return true;
}
