/* SPDX-License-Identifier: BSD-3-Clause */
/* crc24.c - every way to compute a check value agrees with the definition, a bit at a time. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "media/crc24.h"
#include "unit.h"

static uint8_t source[2 * PAGE], stored[PAGE] __attribute__((aligned(PAGE)));

/* As kmemblk-format(5) has it. */
static uint32_t defined(struct crc24_prefix prefix, const uint8_t *page)
{
	uint8_t message[16 + PAGE];
	uint32_t value = 0;

	for (unsigned int i = 0; i < 8; i++) {
		message[i] = (uint8_t)(prefix.family >> 8 * i);
		message[8 + i] = (uint8_t)(prefix.block >> 8 * i);
	}
	memcpy(message + 16, page, PAGE);
	for (unsigned int i = 0; i < sizeof(message); i++) {
		value ^= message[i];
		for (unsigned int bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? 0xdf3261 : 0);
	}
	return value;
}

static void expect_all_ways(struct crc24_prefix prefix, const uint8_t *page)
{
	uint32_t value = defined(prefix, page);
	const struct crc24_way *way;

	for (unsigned int i = 0; (way = crc24_way(i)) != NULL; i++) {
		ck_assert_msg(way->page(prefix, page) == value, "%s", way->name);
		memset(stored, 0, PAGE);
		ck_assert_msg(way->copy(prefix, stored, page) == value, "%s", way->name);
		ck_assert_mem_eq(stored, page, PAGE);
		if (way->stream == NULL)
			continue;
		memset(stored, 0, PAGE);
		ck_assert_msg(way->stream(prefix, stored, page) == value, "%s", way->name);
		ck_assert_mem_eq(stored, page, PAGE);
	}
}

START_TEST(test_all_ways_agree)
{
	srand(1);
	for (uint64_t round = 0; round < scale(300); round++) {
		struct crc24_prefix prefix = { (uint64_t)rand() << 33 ^ (uint64_t)rand(),
					       (uint64_t)rand() };

		for (unsigned int i = 0; i < sizeof(source); i++)
			source[i] = (uint8_t)rand();
		expect_all_ways(prefix, source + round % 65);
	}
}
END_TEST

/* One bit of what stands before the page, and of the page, at a time. */
START_TEST(test_each_bit_counts)
{
	static const uint8_t zeroes[PAGE];

	for (unsigned int bit = 0; bit < 64; bit++) {
		expect_all_ways((struct crc24_prefix){ 1ull << bit, 0 }, zeroes);
		expect_all_ways((struct crc24_prefix){ 0, 1ull << bit }, zeroes);
	}
	memset(source, 0, PAGE);
	for (unsigned int bit = 0; bit < 8 * PAGE; bit += bit < 4096 ? 1 : 97) {
		source[bit / 8] = (uint8_t)(1u << bit % 8);
		expect_all_ways((struct crc24_prefix){ 0, 0 }, source);
		ck_assert_uint_ne(crc24_page((struct crc24_prefix){ 0, 0 }, source), 0);
		source[bit / 8] = 0;
	}
}
END_TEST

START_TEST(test_vectors_of_the_manual)
{
	memset(source, 0, PAGE);
	ck_assert_uint_eq(crc24_page((struct crc24_prefix){ 0, 0 }, source), 0);
	ck_assert_uint_eq(crc24_page((struct crc24_prefix){ 0, 1 }, source), 0x96a7de);
	for (unsigned int i = 0; i < PAGE; i++)
		source[i] = (uint8_t)i;
	ck_assert_uint_eq(crc24_page((struct crc24_prefix){ 0x0123456789abcdef, 7 }, source),
			  0x98c15e);
}
END_TEST

UNIT_MAIN("crc24", test_all_ways_agree, test_each_bit_counts, test_vectors_of_the_manual)
