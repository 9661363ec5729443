/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crc24.c - the check value of a block: CRC-24, polynomial 0x864CFB, bits reflected, begun with 0.
 *
 * The polynomial is that of OpenPGP and LTE.  At the length of a block it misses no one, two or three flipped
 * bits, which was counted; a CRC-32C cut to 24 bits misses pairs.
 *
 * This is the way that every processor has, by tables, eight bytes a step, and the choice of a faster one;
 * crc24-x86.c has those.  Each loads a byte once, and what it has loaded it both stores and counts.
 */
#include "config.h"

#include <endian.h>
#include <string.h>

#include "base/sanitizer.h"
#include "media/crc24.h"
#include "media/layout.h"

#define STEP 8u
/* 0x864CFB from its other end. */
#define REFLECTED 0xdf3261u

/* table[k][b]: of byte b with k bytes of zeroes after it. */
static uint32_t table[STEP][256];
static const struct crc24_way *chosen;

static void make_table(void)
{
	for (unsigned int b = 0; b < 256; b++) {
		uint32_t value = b;

		for (unsigned int bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? REFLECTED : 0);
		table[0][b] = value;
	}
	for (unsigned int k = 1; k < STEP; k++)
		for (unsigned int b = 0; b < 256; b++)
			table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

static uint32_t add_word(uint32_t value, uint64_t word)
{
	uint32_t sum = 0;

	word ^= value;
	for (unsigned int i = 0; i < STEP; i++)
		sum ^= table[STEP - 1 - i][word >> 8 * i & 0xff];
	return sum;
}

static uint32_t portable(struct crc24_prefix prefix, uint8_t *dst, const uint8_t *src)
{
	uint32_t value = add_word(add_word(0, prefix.family), prefix.block);
	uint64_t word;

	for (unsigned int at = 0; at < LAYOUT_PAGE_SIZE; at += STEP) {
		memcpy(&word, src + at, sizeof(word));
		/* Stored and counted is what was loaded here, also if it is another in a moment. */
		__asm__ volatile("" : "+r"(word));
		if (dst != NULL)
			memcpy(dst + at, &word, sizeof(word));
		value = add_word(value, le64toh(word));
	}
	return value;
}

static uint32_t portable_page(struct crc24_prefix prefix, const void *page)
{
	return portable(prefix, NULL, page);
}

static uint32_t portable_copy(struct crc24_prefix prefix, void *dst, const void *src)
{
	return portable(prefix, dst, src);
}

static const struct crc24_way by_tables = { "tables", portable_page, portable_copy, NULL };

const struct crc24_way *crc24_way(unsigned int number)
{
	const struct crc24_way *ways[4] = { &by_tables };
	unsigned int count = 1;

#if defined(__x86_64__) && !PLAIN_ACCESS
	if (crc24_has_pclmul())
		ways[count++] = &crc24_pclmul;
	if (crc24_has_vpclmul())
		ways[count++] = &crc24_vpclmul;
#endif
	return number < count ? ways[number] : NULL;
}

static __attribute__((constructor)) void choose(void)
{
	make_table();
	for (unsigned int i = 0; crc24_way(i) != NULL; i++)
		chosen = crc24_way(i);
}

uint32_t crc24_place(uint64_t family, uint64_t page, unsigned int level, uint64_t number)
{
	uint32_t value = add_word(add_word(0, family), page);

	return add_word(add_word(value, level), number);
}

uint32_t crc24_page(struct crc24_prefix prefix, const void *page)
{
	return chosen->page(prefix, page);
}

uint32_t crc24_copy(struct crc24_prefix prefix, void *dst, const void *src)
{
	return chosen->copy(prefix, dst, src);
}

bool crc24_can_stream(void)
{
	return chosen->stream != NULL;
}

uint32_t crc24_stream(struct crc24_prefix prefix, void *dst, const void *src)
{
	return chosen->stream(prefix, dst, src);
}
