/* SPDX-License-Identifier: BSD-3-Clause */
/* trim.c - trim gives pages back; zero makes zeroes with or without a page. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"
#include "common/disk.h"

/* A disk whose first `n` blocks are written: block b is number b + 1. */
static struct kmemblk *written(uint64_t n)
{
	struct kmemblk *h = unit_make(8 * MIB);

	for (uint64_t block = 0; block < n; block++)
		unit_write(h, block, block + 1);
	return h;
}

static uint64_t used(struct kmemblk *h)
{
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	return info.pages_used;
}

START_TEST(test_only_whole_blocks_are_trimmed)
{
	struct kmemblk *h = written(8);

	/* From within block 1 to within block 5. */
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 4 * PAGE, PAGE + 100), 0);
	for (uint64_t block = 0; block < 8; block++)
		if (block >= 2 && block <= 4)
			unit_expect_zero(h, block);
		else
			unit_expect(h, block, block + 1);
	ck_assert_uint_eq(used(h), 5);
	/* Nothing whole inside. */
	ck_assert_int_eq(kmemblk_trim(disk_of(h), PAGE - 1, 0), 0);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 2 * PAGE - 2, 1), 0);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 0, 0), 0);
	ck_assert_uint_eq(used(h), 5);
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_zero(h, 3);
	unit_expect(h, 5, 6);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_trim_across_leaves)
{
	struct kmemblk *h = written(1600);

	ck_assert_int_eq(kmemblk_trim(disk_of(h), 1500 * PAGE, 50 * PAGE), 0);
	ck_assert_uint_eq(used(h), 100);
	unit_expect(h, 49, 50);
	unit_expect_zero(h, 50);
	unit_expect_zero(h, 511);
	unit_expect_zero(h, 512);
	unit_expect_zero(h, 1549);
	unit_expect(h, 1550, 1551);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_trimmed_pages_serve_new_blocks)
{
	struct kmemblk *h;

	/* Every block has its page; without a trim none could be written anew. */
	unit_format_with(&(struct kmemblk_format_options){ .create_size = MIB, .spare_pages = 2 });
	h = unit_open(0);
	for (uint64_t round = 0; round < 20; round++) {
		for (uint64_t block = 0; block < disk_blocks(h); block++)
			unit_write(h, block, round * 1000 + block);
		ck_assert_int_eq(kmemblk_trim(disk_of(h), disk_blocks(h) * PAGE, 0), 0);
		ck_assert_uint_eq(used(h), 0);
	}
	unit_close_clean(h);
}
END_TEST

START_TEST(test_trim_of_nothing_takes_no_storage)
{
	struct kmemblk *h = written(0);
	uint64_t before = unit_storage(unit_device);

	ck_assert_int_eq(kmemblk_trim(disk_of(h), disk_blocks(h) * PAGE, 0), 0);
	ck_assert_int_eq(kmemblk_zero(disk_of(h), disk_blocks(h) * PAGE, 0, 0), 0);
	ck_assert_int_eq(kmemblk_zero(disk_of(h), 10 * PAGE, 17, 0), 0);
	ck_assert_uint_eq(unit_storage(unit_device), before);
	ck_assert_uint_eq(used(h), 0);
	kmemblk_close(h);
}
END_TEST

/* ---- zero ------------------------------------------------------------------------------------ */

/* Zero this range of 8 written blocks; all else must be as before. */
static void zero_range(uint64_t offset, uint64_t count, unsigned int flags, uint64_t pages_left)
{
	struct kmemblk *h = written(8);
	uint8_t *before = malloc(8 * PAGE), *after = malloc(8 * PAGE);

	ck_assert_int_eq(kmemblk_read(disk_of(h), before, 8 * PAGE, 0), 0);
	ck_assert_msg(kmemblk_zero(disk_of(h), count, offset, flags) == 0, "%s", kmemblk_error());
	memset(before + offset, 0, count);
	ck_assert_int_eq(kmemblk_read(disk_of(h), after, 8 * PAGE, 0), 0);
	ck_assert_mem_eq(before, after, 8 * PAGE);
	ck_assert_uint_eq(used(h), pages_left);
	unit_close_clean(h);
	unlink(unit_device);
	free(before);
	free(after);
}

START_TEST(test_zero_trims_whole_blocks_and_zeroes_parts)
{
	zero_range(0, 8 * PAGE, 0, 0);
	zero_range(PAGE, PAGE, 0, 7);
	zero_range(PAGE + 1, 3 * PAGE, 0, 6);
	zero_range(100, 50, 0, 8);
	zero_range(4000, 200, 0, 8);
	zero_range(5, 0, 0, 8);
}
END_TEST

START_TEST(test_zero_without_hole_keeps_pages)
{
	zero_range(0, 8 * PAGE, KMEMBLK_ZERO_NO_HOLE, 8);
	zero_range(PAGE + 1, 3 * PAGE, KMEMBLK_ZERO_NO_HOLE, 8);
	zero_range(100, 50, KMEMBLK_ZERO_NO_HOLE, 8);
}
END_TEST

START_TEST(test_zero_without_hole_binds_pages)
{
	struct kmemblk *h = written(0);

	ck_assert_int_eq(kmemblk_zero(disk_of(h), 600 * PAGE, 10 * PAGE - 1, KMEMBLK_ZERO_NO_HOLE),
			 0);
	ck_assert_uint_eq(used(h), 601);
	unit_expect_zero(h, 9);
	unit_expect_zero(h, 609);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_zero_of_dirty_pages_gives_zeroes)
{
	struct kmemblk *h;

	/* All pages have held something before. */
	unit_format_with(&(struct kmemblk_format_options){ .create_size = MIB, .spare_pages = 2 });
	h = unit_open(0);
	for (uint64_t block = 0; block < disk_blocks(h); block++)
		unit_write(h, block, block);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), disk_blocks(h) * PAGE, 0), 0);
	ck_assert_int_eq(kmemblk_zero(disk_of(h), disk_blocks(h) * PAGE, 0, KMEMBLK_ZERO_NO_HOLE),
			 0);
	for (uint64_t block = 0; block < disk_blocks(h); block++)
		unit_expect_zero(h, block);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), disk_blocks(h) * PAGE, 0), 0);
	/* Around a part that is written there is nothing old. */
	ck_assert_int_eq(kmemblk_write(disk_of(h), "x", 1, 5 * PAGE + 5), 0);
	ck_assert_int_eq(kmemblk_zero(disk_of(h), 1, 5 * PAGE + 5, 0), 0);
	unit_expect_zero(h, 5);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_refusals)
{
	struct kmemblk *h = written(1);
	uint64_t size = disk_blocks(h) * PAGE;

	unit_expect_error(kmemblk_trim(disk_of(h), 2, size - 1), EINVAL, "trim: ");
	unit_expect_error(kmemblk_trim(disk_of(h), ~0ull, PAGE), EINVAL, "trim: ");
	unit_expect_error(kmemblk_zero(disk_of(h), 2, size - 1, 0), EINVAL, "zero: ");
	unit_expect_error(kmemblk_zero(disk_of(h), 1, 0, 2), EINVAL, "unknown flags 0x2");
	unit_expect(h, 0, 1);
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_error(kmemblk_trim(disk_of(h), PAGE, 0), EROFS, "opened read-only");
	unit_expect_error(kmemblk_zero(disk_of(h), PAGE, 0, 0), EROFS, "opened read-only");
	unit_expect(h, 0, 1);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_media_error_in_the_index)
{
	struct kmemblk *h = written(1200);

	if (!unit_faults_work())
		return;
	ck_assert_int_eq(truncate(unit_device, 2 * PAGE), 0);
	/* What cannot be persisted is not known to be durable: no more writing. */
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 10 * PAGE, 1100 * PAGE), -EIO);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_zero_says_that_it_is_one)
{
	struct kmemblk *h;
	void *memory;

	h = unit_make(8 * MIB);
	while (kmemblk_borrow(h, PAGE, PAGE, &memory) == 0)
		;
	unit_expect_error(kmemblk_zero(disk_of(h), unit_info(h).size_bytes, 0,
				       KMEMBLK_ZERO_NO_HOLE),
			  ENOSPC, "zero: ");
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("trim", test_only_whole_blocks_are_trimmed, test_trim_across_leaves,
	  test_trimmed_pages_serve_new_blocks, test_trim_of_nothing_takes_no_storage,
	  test_zero_trims_whole_blocks_and_zeroes_parts, test_zero_without_hole_keeps_pages,
	  test_zero_without_hole_binds_pages, test_zero_of_dirty_pages_gives_zeroes,
	  test_zero_says_that_it_is_one, test_refusals, test_media_error_in_the_index)
