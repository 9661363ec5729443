/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * any-damage.c - a device with any wrong value in its superblock, directory, record or tables opens with a clear error
 * or is read right, and never beyond its end.
 *
 * Behind the device lies a page that must not be touched: the file ends there, so a load beyond it
 * is SIGBUS.  Inside the mapping that would be called a media error, which therefore is a failure
 * here, like a crash.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "common/disk.h"

/* 600 pages; 550 blocks, of which every third is written, so two leaves and a table that names them. */
#define PAGES	       600u
#define BLOCKS	       550u
#define COPY	       (PAGES - 1)
#define WRITTEN(block) ((block) % 3 == 0)

static uint8_t whole[PAGES * PAGE];

static void make(void)
{
	struct kmemblk *h;

	unit_format_with(&(struct kmemblk_format_options){ .create_size = PAGES * PAGE,
							   .disk_size = BLOCKS * PAGE,
							   .spare_pages = 20,
							   .label = "damaged" });
	h = unit_open(0);
	for (uint64_t block = 0; block < BLOCKS; block++)
		if (WRITTEN(block))
			unit_write(h, block, block);
	kmemblk_close(h);
	unit_peek(0, whole, sizeof(whole));
}

static void restore(void)
{
	unit_poke(0, whole, sizeof(whole));
}

/* No error is one of an access: nothing was touched that is not there. */
static void expect_clear(int rc)
{
	const char *text = kmemblk_error();

	ck_assert_msg(rc == -EMEDIUMTYPE || rc == -EUCLEAN || rc == -EIO || rc == -ENOSPC ||
			      rc == -EBUSY || rc == -EINVAL,
		      "%d: %s", rc, text);
	ck_assert_msg(strstr(text, unit_device) != NULL, "%s", text);
	ck_assert_msg(strstr(text, "media error") == NULL, "%s", text);
	ck_assert_msg(strstr(text, "cut short before") == NULL, "%s", text);
}

/* Every block that can be read is right, but for the one whose entry was changed. */
static void read_all(struct kmemblk *h, uint64_t changed)
{
	struct kmemblk_info info;
	uint8_t page[PAGE];

	kmemblk_get_info(h, &info);
	if (info.volumes == 0)
		return;
	for (uint64_t block = 0; block < info.blocks; block++) {
		int rc = kmemblk_read(disk_of(h), page, PAGE, block * PAGE);

		if (rc != 0)
			expect_clear(rc);
		else if (block < BLOCKS && block != changed)
			ck_assert_msg(WRITTEN(block) ? unit_is(page, block)
						     : unit_is_zero(page, PAGE),
				      "block %llu", (unsigned long long)block);
	}
}

static int no_extent(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	(void)opaque;
	(void)offset;
	(void)count;
	(void)flags;
	return 0;
}

/* Open both ways, probe and check. */
static void try_all(uint64_t changed, bool thorough)
{
	struct kmemblk_check_result result;
	struct kmemblk_info info;
	struct kmemblk *h;

	for (unsigned int flags = 0; flags < 2; flags++) {
		int rc = kmemblk_open(unit_device, flags, &h);

		if (rc != 0) {
			expect_clear(rc);
			continue;
		}
		if (thorough) {
			read_all(h, changed);
			kmemblk_get_info(h, &info);
			if (info.volumes > 0)
				ck_assert_int_eq(kmemblk_extents(disk_of(h), info.size_bytes, 0,
								 no_extent, NULL),
						 0);
		}
		kmemblk_close(h);
	}
	if (thorough) {
		int rc = kmemblk_probe(unit_device, &info);

		if (rc != 0)
			expect_clear(rc);
	}
	unit_check(0, &result);
}

/* The values that a field of `width` bytes is set to, from what it was. */
static uint64_t value_number(unsigned int i, uint64_t was)
{
	static const uint64_t fixed[] = { 0,   1,   2,	 3,   4,    18,	  19,	20,  21,  511,
					  512, 513, 549, 550, 551,  575,  576,	577, 597, 598,
					  599, 600, 601, 602, 4095, 4096, 4097, 8192 };
	const unsigned int n = sizeof(fixed) / sizeof(fixed[0]);

	if (i < n)
		return fixed[i];
	i -= n;
	if (i < 64)
		return was ^ 1ull << i;
	i -= 64;
	if (i < 64)
		return 1ull << i;
	i -= 64;
	if (i < 64)
		return ~0ull >> i;
	i -= 64;
	return i < 32 ? was + i - 16 : (uint64_t)rand() << 33 ^ (uint64_t)rand();
}

#define VALUES (28 + 3 * 64 + 32 + 20)

static const struct {
	unsigned int at, width;
} fields[] = {
	{ 0, 8 },   { 8, 4 },	{ 12, 4 },   { 16, 8 },	  { 24, 8 },  { 32, 8 },
	{ 40, 4 },  { 44, 4 },	{ 48, 8 },   { 56, 8 },	  { 64, 8 },  { 72, 8 },
	{ 80, 8 },  { 88, 8 },	{ 96, 8 },   { 104, 8 },  { 112, 8 }, { 120, 8 },
	{ 176, 8 }, { 184, 8 }, { 4084, 8 }, { 4092, 4 },
};

/* Each field in turn; with `seal` the checksum is made right again. */
static void damage_super(bool seal)
{
	make();
	srand(3);
	for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
		uint64_t was = unit_peek_number(fields[f].at, fields[f].width);
		unsigned int step = (unsigned int)(VALUES / scale(VALUES));

		for (unsigned int i = 0; i < VALUES; i += step) {
			unit_poke_number(fields[f].at, fields[f].width, value_number(i, was));
			if (seal && fields[f].at != 4092)
				unit_seal(0);
			try_all(UINT64_MAX, i % 32 == 0);
			restore();
		}
	}
	unit_expect_clean();
}

START_TEST(test_superblock_with_a_wrong_checksum)
{
	damage_super(false);
}
END_TEST

START_TEST(test_superblock_with_a_right_checksum)
{
	damage_super(true);
}
END_TEST

START_TEST(test_copy_of_the_superblock)
{
	struct kmemblk_check_result result;

	make();
	srand(4);
	for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
		uint64_t at = COPY * PAGE + fields[f].at;
		uint64_t was = unit_peek_number(at, fields[f].width);

		for (unsigned int i = 0; i < VALUES; i += 9) {
			unit_poke_number(at, fields[f].width, value_number(i, was));
			if (fields[f].at != 4092)
				unit_seal(COPY);
			/* Alone, and as all there is. */
			unit_check(0, &result);
			unit_poke_number(0, 8, 0);
			unit_check(0, &result);
			restore();
		}
	}
	unit_expect_clean();
}
END_TEST

#define NO_BLOCK UINT64_MAX

/* Any value in a word of 8 bytes. */
static void try_word(uint64_t at, uint64_t changed)
{
	uint64_t was = unit_peek_number(at, 8);

	for (unsigned int i = 0; i < VALUES; i += scale(30) == 30 ? 1 : 40) {
		uint64_t value = value_number(i, was);

		/* What is not named is a hole, which no check value can tell. */
		if (value == 0 && changed == NO_BLOCK)
			continue;
		unit_poke_number(at, 8, value);
		try_all(changed, i % 8 == 0);
		restore();
	}
}

START_TEST(test_entries_of_leaves)
{
	static const uint64_t blocks[] = { 0, 1, 3, 255, 511, 512, 513, BLOCKS - 1 };

	make();
	srand(5);
	for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++)
		try_word(unit_find_entry(blocks[b]), blocks[b]);
	unit_expect_clean();
}
END_TEST

/* With a right checksum of the record, where it is one of its fields. */
START_TEST(test_directory_record_and_tables)
{
	static const unsigned int fields[] = { 0, 8, 16, 24, 32, 40, 56, 120, 4080 };
	uint64_t upper;

	make();
	srand(6);
	upper = unit_table(0, 2) * PAGE;
	try_word(upper, NO_BLOCK);
	try_word(upper + 8, NO_BLOCK);
	try_word(upper + 16, NO_BLOCK);
	try_word(PAGE, NO_BLOCK);
	try_word(PAGE + 8, NO_BLOCK);
	try_word(2ull * PAGE, NO_BLOCK);
	try_word(unit_record() * PAGE + 4088, NO_BLOCK);
	for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
		uint64_t record = unit_record(), at = record * PAGE + fields[f];
		uint64_t was = unit_peek_number(at, 8);

		for (unsigned int i = 0; i < VALUES; i += 7) {
			unit_poke_number(at, 8, value_number(i, was));
			unit_seal_record(record);
			try_all(NO_BLOCK, false);
			restore();
		}
	}
	unit_expect_clean();
}
END_TEST

START_TEST(test_leaves_of_noise)
{
	uint8_t page[PAGE];

	make();
	srand(7);
	for (uint64_t round = 0; round < scale(60); round++) {
		for (unsigned int i = 0; i < 512; i++)
			unit_poke_entry((uint64_t)rand() % BLOCKS,
					(uint64_t)rand() % (round % 2 ? PAGES + 10 : RAND_MAX));
		/* All blocks may be hurt: only that nothing else happens. */
		for (unsigned int flags = 0; flags < 2; flags++) {
			struct kmemblk *h;
			int rc = kmemblk_open(unit_device, flags, &h);

			if (rc != 0) {
				expect_clear(rc);
				continue;
			}
			for (uint64_t block = 0; block < BLOCKS; block++) {
				rc = kmemblk_read(disk_of(h), page, PAGE, block * PAGE);
				if (rc != 0)
					expect_clear(rc);
			}
			kmemblk_close(h);
		}
		restore();
	}
}
END_TEST

UNIT_MAIN("any-damage", test_superblock_with_a_wrong_checksum,
	  test_superblock_with_a_right_checksum, test_copy_of_the_superblock,
	  test_entries_of_leaves, test_directory_record_and_tables, test_leaves_of_noise)
