/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify.c - a block that does not hold what was written to it is an error in every way in which it is read,
 * and to nobody else; a write of the whole block, or a trim, makes it good again.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "io/write.h"
#include "unit.h"
#include "common/disk.h"

#define BLOCKS 12u

static uint8_t buf[BLOCKS * PAGE];

/* Turn a bit of a block's page. */
static void turn(uint64_t block, unsigned int byte)
{
	uint64_t at = unit_peek_page(block) * PAGE + byte;

	unit_poke_number(at, 1, unit_peek_number(at, 1) ^ 4);
}

static struct kmemblk *make(void)
{
	struct kmemblk *h = unit_make(8 * MIB);

	for (uint64_t block = 0; block < BLOCKS; block++)
		unit_write(h, block, block);
	turn(5, 100);
	return h;
}

static void expect_others(struct kmemblk *h)
{
	for (uint64_t block = 0; block < BLOCKS; block++)
		if (block != 5)
			unit_expect(h, block, block);
}

static void expect_damaged(int rc)
{
	unit_expect_error(rc, EIO, "block 5 is damaged: page ");
}

START_TEST(test_every_read_is_an_error)
{
	struct kmemblk *h = make();

	expect_damaged(kmemblk_read(disk_of(h), buf, PAGE, 5 * PAGE));
	expect_damaged(kmemblk_read(disk_of(h), buf, BLOCKS * PAGE, 0));
	/* Also of a part that is as it was. */
	expect_damaged(kmemblk_read(disk_of(h), buf, 1, 5 * PAGE + 4000));
	expect_damaged(kmemblk_read(disk_of(h), buf, PAGE, 5 * PAGE - 10));
	expect_others(h);
	ck_assert_int_eq(kmemblk_read(disk_of(h), buf, 5 * PAGE, 0), 0);
	ck_assert_uint_eq(unit_info(h).mismatches, 4);
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	expect_damaged(kmemblk_read(disk_of(h), buf, PAGE, 5 * PAGE));
	expect_others(h);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_a_part_is_not_written_over_damage)
{
	struct kmemblk *h = make();
	uint64_t entry = unit_peek_entry(5);

	expect_damaged(kmemblk_write(disk_of(h), "x", 1, 5 * PAGE + 100));
	expect_damaged(kmemblk_write(disk_of(h), buf, PAGE, 4 * PAGE + 8));
	expect_damaged(kmemblk_zero(disk_of(h), 100, 5 * PAGE + 50, 0));
	/* Nor is it moved, as compaction would. */
	expect_damaged(write_part(disk_of(h), 5, 0, 0, NULL, true));
	ck_assert_uint_eq(unit_peek_entry(5), entry);
	kmemblk_close(h);
}
END_TEST

/* And the page it was on is not used again while the handle is open. */
START_TEST(test_a_whole_write_makes_it_good)
{
	struct kmemblk *h = make();

	expect_damaged(kmemblk_read(disk_of(h), buf, PAGE, 5 * PAGE));
	unit_write(h, 5, 5);
	unit_expect(h, 5, 5);
	expect_others(h);
	AWAIT(unit_info(h).pages_quarantined == 1);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_a_trim_makes_it_good)
{
	struct kmemblk *h = make();

	ck_assert_int_eq(kmemblk_trim(disk_of(h), PAGE, 5 * PAGE), 0);
	unit_expect_zero(h, 5);
	expect_others(h);
	unit_close_clean(h);
}
END_TEST

/* The entry of one block, and the page of another. */
START_TEST(test_blocks_that_changed_places)
{
	struct kmemblk *h = make();
	uint64_t three, four;

	kmemblk_close(h);
	three = unit_peek_entry(3);
	four = unit_peek_entry(4);
	unit_poke_entry(3, four);
	unit_poke_entry(4, three);
	h = unit_open(0);
	unit_expect_error(kmemblk_read(disk_of(h), buf, PAGE, 3 * PAGE), EIO, "block 3 is damaged");
	unit_expect_error(kmemblk_read(disk_of(h), buf, PAGE, 4 * PAGE), EIO, "block 4 is damaged");
	unit_expect(h, 6, 6);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_check_of_data)
{
	struct kmemblk_check_result result;
	struct kmemblk *h = make();
	const char *text;

	kmemblk_close(h);
	unit_expect_clean();
	text = unit_check(KMEMBLK_CHECK_DATA, &result);
	ck_assert_ptr_nonnull(strstr(text, "left: kmem0: block 5: page "));
	ck_assert_uint_eq(result.left, 1);
	ck_assert_uint_eq(result.verified, BLOCKS - 1);
}
END_TEST

START_TEST(test_a_thick_device_is_verified)
{
	struct kmemblk_check_result result;
	struct kmemblk *h;

	unit_format_with(&(struct kmemblk_format_options){ .create_size = 4 * MIB,
							   .flags = KMEMBLK_FORMAT_PREALLOC });
	unit_check(KMEMBLK_CHECK_DATA, &result);
	ck_assert_uint_eq(result.left, 0);
	ck_assert_uint_eq(result.verified, result.entries);
	h = unit_open(0);
	unit_expect_zero(h, 7);
	ck_assert_int_eq(kmemblk_zero(disk_of(h), PAGE, 7 * PAGE, KMEMBLK_ZERO_NO_HOLE), 0);
	unit_expect_zero(h, 7);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_without_check_values_nothing_is_verified)
{
	struct kmemblk_check_result result;
	struct kmemblk *h;

	unit_format_with(
		&(struct kmemblk_format_options){ .create_size = 4 * MIB, .check = "none" });
	h = unit_open(0);
	ck_assert_str_eq(unit_info(h).check, "none");
	unit_write(h, 5, 5);
	ck_assert_uint_eq(unit_peek_entry(5), unit_entry(unit_peek_page(5)));
	turn(5, 4095);
	ck_assert_int_eq(kmemblk_read(disk_of(h), buf, PAGE, 5 * PAGE), 0);
	ck_assert_int_eq(kmemblk_write(disk_of(h), "x", 1, 5 * PAGE), 0);
	kmemblk_close(h);
	ck_assert_ptr_nonnull(strstr(unit_check(KMEMBLK_CHECK_DATA, &result),
				     "note: the device was formatted without check values"));
}
END_TEST

UNIT_MAIN("verify", test_every_read_is_an_error, test_a_part_is_not_written_over_damage,
	  test_a_whole_write_makes_it_good, test_a_trim_makes_it_good,
	  test_blocks_that_changed_places, test_check_of_data, test_a_thick_device_is_verified,
	  test_without_check_values_nothing_is_verified)
