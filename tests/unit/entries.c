/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * entries.c - the map in a file, followed and changed by hand, as kmemblk-format(5) has it; nothing of the
 * library's.
 */
#include "config.h"

#include <endian.h>
#include <stdlib.h>

#include "unit.h"

#define ENTRIES	  512u
#define PAGE_MASK ((1ull << 39) - 1)

/* 0x864CFB, bits reflected, begun with 0. */
static uint32_t crc24(const uint64_t *words, unsigned int count)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < count; i++)
		for (unsigned int bit = 0; bit < 64; bit++) {
			value ^= words[i] >> bit & 1;
			value = value >> 1 ^ (value & 1 ? 0xdf3261u : 0);
		}
	return value;
}

uint64_t unit_entry_with(uint64_t page, uint32_t check)
{
	uint64_t entry = page | (uint64_t)check << 39, bits = 0;

	for (unsigned int i = 0; i < 63; i++)
		bits ^= entry >> i & 1;
	return entry | bits << 63;
}

uint64_t unit_entry(uint64_t page)
{
	return unit_entry_with(page, 0);
}

static uint64_t place_entry(uint64_t family, uint64_t page, unsigned int level, uint64_t number)
{
	uint64_t words[4] = { family, page, level, number };

	return unit_entry_with(page, crc24(words, 4));
}

uint64_t unit_record(void)
{
	return unit_peek_number(unit_peek_number(56, 8) * PAGE, 8) & PAGE_MASK;
}

uint64_t unit_table_entry(uint64_t page, unsigned int level, uint64_t number)
{
	return place_entry(unit_peek_number(unit_record() * PAGE + 24, 8), page, level, number);
}

uint64_t unit_record_entry(uint64_t page, unsigned int number)
{
	return place_entry(0, page, 63, number);
}

void unit_seal_record(uint64_t page)
{
	uint8_t bytes[PAGE];

	unit_peek(page * PAGE, bytes, PAGE);
	unit_poke_number(page * PAGE + 4084, 4, unit_crc32c(bytes, 4084));
}

/* Mark what the entries of a table name, and all below.  A table is read at once: there are many. */
static void mark(uint64_t at, unsigned int count, unsigned int level, bool *used, uint64_t pages)
{
	uint64_t *entry = calloc(count, sizeof(entry[0]));

	unit_peek(at, entry, count * sizeof(entry[0]));
	for (unsigned int i = 0; i < count; i++) {
		uint64_t page = le64toh(entry[i]) & PAGE_MASK;

		if (page == 0 || page >= pages)
			continue;
		used[page] = true;
		if (level > 0)
			mark(page * PAGE, ENTRIES, level - 1, used, pages);
	}
	free(entry);
}

/* A page that nothing names; from the end, where tests put nothing. */
static uint64_t free_page(unsigned int height)
{
	uint64_t pages = unit_peek_number(48, 8), page = pages - 2;
	bool *used = calloc(pages, sizeof(used[0]));

	mark(unit_record() * PAGE + 4088, 1, height, used, pages);
	while (used[page])
		page--;
	free(used);
	return page;
}

/* The page of a table on the way to a block; 0 where it is missing and not to be made. */
static uint64_t walk(uint64_t block, unsigned int until, bool make)
{
	uint64_t at = unit_record() * PAGE + 4088, page = 0;
	unsigned int height = (unsigned int)unit_peek_number(unit_record() * PAGE + 8, 4);
	static const uint8_t zeroes[PAGE];

	for (unsigned int level = height; level >= until; level--) {
		page = unit_peek_number(at, 8) & PAGE_MASK;
		if (page == 0 && !make)
			return 0;
		if (page == 0) {
			page = free_page(height);
			unit_poke(page * PAGE, zeroes, PAGE);
			unit_poke_number(at, 8, unit_table_entry(page, level, block >> 9 * level));
		}
		at = page * PAGE + 8 * (block >> 9 * (level - 1) & (ENTRIES - 1));
	}
	return page;
}

uint64_t unit_table(uint64_t block, unsigned int level)
{
	return walk(block, level, false);
}

uint64_t unit_find_entry(uint64_t block)
{
	return walk(block, 1, true) * PAGE + 8 * (block % ENTRIES);
}

void unit_poke_entry(uint64_t block, uint64_t entry)
{
	unit_poke_number(unit_find_entry(block), 8, entry);
}

uint64_t unit_peek_entry(uint64_t block)
{
	uint64_t leaf = walk(block, 1, false);

	return leaf == 0 ? 0 : unit_peek_number(leaf * PAGE + 8 * (block % ENTRIES), 8);
}

void unit_poke_page(uint64_t block, uint64_t page)
{
	unit_poke_entry(block, unit_entry(page));
}

uint64_t unit_peek_page(uint64_t block)
{
	return unit_peek_entry(block) & PAGE_MASK;
}
