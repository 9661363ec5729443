/* SPDX-License-Identifier: BSD-3-Clause */
/* grow.c - kmemblk_grow(), and what is left of a growth that was cut. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define BEFORE 1000u
#define AFTER  1700u

/* The words of the primary that a growth changes, and one that it does not. */
#define SIZE_AT	      48
#define GENERATION_AT 80
#define CRC_AT	      4088
#define LABEL_AT      112

/* A device of `BEFORE` pages with some blocks, in a file of `AFTER`. */
static void make(void)
{
	struct kmemblk *h = unit_make(BEFORE * PAGE);

	for (uint64_t block = 0; block < 300; block += 3)
		unit_write(h, block, block + 1);
	kmemblk_close(h);
	ck_assert_int_eq(truncate(unit_device, AFTER * PAGE), 0);
}

static void expect_grown_from(uint64_t before)
{
	struct kmemblk_grow_result result;

	ck_assert_msg(kmemblk_grow(unit_device, &result) == 0, "%s", kmemblk_error());
	ck_assert_uint_eq(result.device_pages_before, before);
	ck_assert_uint_eq(result.device_pages, AFTER);
	ck_assert_int_eq(result.finished, before == AFTER);
}

/* It opens for writing, has so many pages, and holds what it held. */
static void expect_opens(uint64_t pages)
{
	struct kmemblk *h = unit_open(0);

	ck_assert_uint_eq(unit_info(h).device_pages, pages);
	ck_assert_uint_eq(unit_info(h).pages_used, 100);
	for (uint64_t block = 0; block < 300; block++)
		if (block % 3 == 0)
			unit_expect(h, block, block + 1);
		else
			unit_expect_zero(h, block);
	kmemblk_close(h);
}

/* All that a growth leaves when it has returned. */
static void expect_whole(void)
{
	uint8_t page[PAGE];

	unit_expect_clean();
	expect_opens(AFTER);
	unit_peek((BEFORE - 1) * PAGE, page, PAGE);
	ck_assert(unit_is_zero(page, PAGE));
}

/* unit_device is as it was before a growth; `grown` is a file as it is after it. */
static const char *make_both(void)
{
	const char *before = unit_path("before"), *grown = unit_path("grown");

	make();
	unit_copy_file(unit_device, before);
	expect_grown_from(BEFORE);
	unit_copy_file(unit_device, grown);
	unit_copy_file(before, unit_device);
	return grown;
}

/* These bytes as they are after it. */
static void put_grown(const char *grown, uint64_t at, size_t len)
{
	static uint8_t bytes[PAGE];
	FILE *file = fopen(grown, "re");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, (long)at, SEEK_SET), 0);
	ck_assert_uint_eq(fread(bytes, 1, len, file), len);
	fclose(file);
	unit_poke(at, bytes, len);
}

/* The first steps have been made: the copy, and with `cleared` the old one's page. */
static const char *make_cut(bool cleared)
{
	const char *grown = make_both();

	put_grown(grown, (AFTER - 1) * PAGE, PAGE);
	if (cleared)
		put_grown(grown, (BEFORE - 1) * PAGE, PAGE);
	return grown;
}

START_TEST(test_all_pages_are_used_and_nothing_else_changes)
{
	struct kmemblk_info info, grown;
	struct kmemblk *h;

	make();
	h = unit_open(0);
	info = unit_info(h);
	kmemblk_close(h);
	ck_assert_uint_eq(info.device_pages, BEFORE);
	expect_grown_from(BEFORE);
	expect_whole();
	h = unit_open(0);
	grown = unit_info(h);
	ck_assert_uint_eq(grown.data_pages, info.data_pages + AFTER - BEFORE);
	ck_assert_uint_eq(grown.pages_free, info.pages_free + AFTER - BEFORE);
	ck_assert_uint_eq(grown.pages_spare, info.pages_spare);
	ck_assert_uint_eq(grown.blocks, info.blocks);
	ck_assert_uint_eq(grown.generation, info.generation + 1);
	ck_assert_str_eq(grown.uuid, info.uuid);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_a_volume_can_have_what_is_new)
{
	struct kmemblk *h;

	make();
	expect_grown_from(BEFORE);
	h = unit_open(0);
	ck_assert_msg(kmemblk_volume_resize(h, "kmem0", 1650 * PAGE, 0) == 0, "%s",
		      kmemblk_error());
	/* The page of the old copy is among those that are taken. */
	for (uint64_t block = 0; block < 1650; block++)
		unit_write(h, block, block + 7);
	for (uint64_t block = 0; block < 1650; block++)
		unit_expect(h, block, block + 7);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_what_is_not_larger_stays_as_it_is)
{
	struct kmemblk_grow_result result;
	const char *copy = unit_path("copy");

	unit_format(BEFORE * PAGE, 0);
	for (unsigned int more = 0; more < PAGE; more += PAGE - 1) {
		/* Part of a page is none. */
		ck_assert_int_eq(truncate(unit_device, BEFORE * PAGE + more), 0);
		unit_copy_file(unit_device, copy);
		ck_assert_int_eq(kmemblk_grow(unit_device, &result), 0);
		ck_assert_uint_eq(result.device_pages_before, BEFORE);
		ck_assert_uint_eq(result.device_pages, BEFORE);
		ck_assert(unit_same_file(unit_device, copy));
	}
}
END_TEST

START_TEST(test_page_by_page)
{
	struct kmemblk_grow_result result;

	make();
	for (unsigned int pages = BEFORE + 1; pages <= BEFORE + 20; pages++) {
		ck_assert_int_eq(truncate(unit_device, pages * PAGE), 0);
		ck_assert_int_eq(kmemblk_grow(unit_device, &result), 0);
		ck_assert_uint_eq(result.device_pages_before, pages - 1);
		ck_assert_uint_eq(result.device_pages, pages);
		unit_expect_clean();
	}
	expect_opens(BEFORE + 20);
}
END_TEST

START_TEST(test_type_none)
{
	const struct kmemblk_format_options options = { .type = "none", .create_size = 64 * PAGE };
	struct kmemblk_grow_result result;
	struct kmemblk *h;

	unit_format_with(&options);
	ck_assert_int_eq(truncate(unit_device, 100 * PAGE), 0);
	ck_assert_msg(kmemblk_grow(unit_device, &result) == 0, "%s", kmemblk_error());
	h = unit_open(0);
	ck_assert_uint_eq(unit_info(h).pages_free, 98);
	unit_close_clean(h);
}
END_TEST

static void expect_refused(int err, const char *words)
{
	struct kmemblk_grow_result result;
	const char *copy = unit_path("refused");

	unit_copy_file(unit_device, copy);
	unit_expect_error(kmemblk_grow(unit_device, &result), err, words);
	ck_assert(unit_same_file(unit_device, copy));
}

START_TEST(test_refusals_change_nothing)
{
	struct kmemblk *h;

	make();
	h = unit_open(KMEMBLK_OPEN_READONLY);
	expect_refused(EBUSY, "in use by process");
	kmemblk_close(h);
	ck_assert_int_eq(truncate(unit_device, 900 * PAGE), 0);
	expect_refused(EUCLEAN,
		       "made for 1000 pages, but the device has only 900: it was cut short");
	unit_make_file(unit_device, MIB);
	expect_refused(EMEDIUMTYPE, "not a kmemblk device");
	unit_make_file(unit_device, 0);
	expect_refused(EMEDIUMTYPE, "not a kmemblk device, and empty");
	unlink(unit_device);
	unit_expect_error(kmemblk_grow(unit_device, &(struct kmemblk_grow_result){ 0 }), ENOENT,
			  "no such file");
}
END_TEST

START_TEST(test_unknown_features)
{
	make();
	unit_poke_number(24, 8, 1);
	unit_seal(0);
	expect_refused(EMEDIUMTYPE, "has features this version can only read (ro-compat 0x1)");
	unit_poke_number(24, 8, 0);
	/* What is compatible is kept. */
	unit_poke_number(16, 8, 1ull << 63);
	unit_seal(0);
	expect_grown_from(BEFORE);
	ck_assert_uint_eq(unit_peek_number(16, 8), 1ull << 63);
	expect_whole();
}
END_TEST

/* ---- cut ------------------------------------------------------------------------------------- */

START_TEST(test_cut_within_the_copy)
{
	const char *grown = make_both();
	struct kmemblk_check_result result;

	put_grown(grown, (AFTER - 1) * PAGE, 2048);
	expect_opens(BEFORE);
	ck_assert_ptr_nonnull(strstr(unit_check(0, &result),
				     "note: the device has 1700 pages, of which the format uses "
				     "1000; to use all, type: kmemblk grow "));
	ck_assert_uint_eq(result.correctable + result.left, 0);
	expect_grown_from(BEFORE);
	expect_whole();
}
END_TEST

START_TEST(test_cut_before_the_primary)
{
	struct kmemblk_check_result result;

	for (int cleared = 0; cleared < 2; cleared++) {
		make_cut(cleared);
		expect_opens(BEFORE);
		ck_assert_ptr_nonnull(strstr(
			unit_check(0, &result),
			"correctable: superblock (page 0): the growth of the device from 1000 pages to 1700 "
			"was cut; add --repair to finish it, or type: kmemblk grow "));
		ck_assert_uint_eq(result.correctable, 1);
		ck_assert_uint_eq(result.left, 0);
		expect_grown_from(BEFORE);
		expect_whole();
		unlink(unit_device);
	}
}
END_TEST

START_TEST(test_repair_finishes)
{
	struct kmemblk_check_result result;

	for (int cleared = 0; cleared < 2; cleared++) {
		make_cut(cleared);
		ck_assert_str_eq(
			unit_check(KMEMBLK_CHECK_REPAIR, &result),
			"corrected: superblock (page 0): the growth of the device from 1000 "
			"pages to 1700 was cut; finished\n");
		ck_assert_uint_eq(result.corrected, 1);
		expect_whole();
		unlink(unit_device);
	}
}
END_TEST

/* Of the three words that are exchanged some are of after: bit i says so of the i-th. */
static void make_exchanged(unsigned int words)
{
	static const unsigned int at[] = { CRC_AT, SIZE_AT, GENERATION_AT };
	const char *grown = make_cut(true);

	for (unsigned int i = 0; i < 3; i++)
		if (words >> i & 1)
			put_grown(grown, at[i], 8);
}

START_TEST(test_cut_within_the_primary)
{
	for (unsigned int words = 1; words < 7; words += 2) {
		make_exchanged(words);
		expect_opens(AFTER);
		expect_grown_from(AFTER);
		expect_whole();
		unlink(unit_device);
	}
}
END_TEST

START_TEST(test_repair_of_a_cut_primary)
{
	struct kmemblk_check_result result;

	for (unsigned int words = 1; words < 7; words += 2) {
		make_exchanged(words);
		ck_assert_str_eq(
			unit_check(KMEMBLK_CHECK_REPAIR, &result),
			"corrected: superblock (page 0): wrong checksum; written anew from "
			"the copy\n");
		expect_whole();
		unlink(unit_device);
	}
}
END_TEST

START_TEST(test_lost_primary_comes_back_with_the_new_size)
{
	static const uint8_t zeroes[PAGE];
	struct kmemblk_check_result result;

	make_cut(true);
	unit_poke(0, zeroes, PAGE);
	expect_refused(EUCLEAN, "no kmemblk superblock; type: kmemblk check ");
	unit_check(KMEMBLK_CHECK_REPAIR, &result);
	ck_assert_uint_eq(result.corrected, 1);
	expect_whole();
}
END_TEST

/* ---- what is not left by a growth -------------------------------------------------------------- */

static void expect_damaged(void)
{
	struct kmemblk *h;

	expect_refused(EUCLEAN, "superblock: wrong checksum; type: kmemblk check ");
	unit_expect_error(kmemblk_open(unit_device, KMEMBLK_OPEN_READONLY, &h), EUCLEAN,
			  "superblock: wrong checksum; type: kmemblk check ");
}

START_TEST(test_other_damage_is_not_taken_for_a_growth)
{
	/* A device that has never grown. */
	make();
	ck_assert_int_eq(truncate(unit_device, BEFORE * PAGE), 0);
	unit_poke_number(SIZE_AT, 8, BEFORE - 1);
	expect_damaged();
	unlink(unit_device);

	/* The checksum is the first that is exchanged. */
	for (unsigned int words = 2; words < 7; words += 2) {
		make_exchanged(words);
		expect_damaged();
		unlink(unit_device);
	}

	make_exchanged(1);
	unit_poke_number(LABEL_AT, 1, 'x');
	expect_damaged();
	unlink(unit_device);

	make_exchanged(1);
	unit_poke_number(GENERATION_AT, 8, 0);
	expect_damaged();
	unit_poke_number(GENERATION_AT, 8, 3);
	expect_damaged();
	unlink(unit_device);

	make_exchanged(1);
	unit_poke_number(SIZE_AT, 8, AFTER + 1);
	expect_damaged();
	unlink(unit_device);

	/* What is at the end is of another growth, or of none. */
	make_exchanged(1);
	ck_assert_int_eq(truncate(unit_device, (AFTER + 1) * PAGE), 0);
	expect_damaged();
}
END_TEST

START_TEST(test_copy_of_another_device_at_the_end)
{
	struct kmemblk_check_result result;

	make_cut(false);
	/* Another uuid. */
	unit_poke_number((AFTER - 1) * PAGE + 96, 8, 1234567);
	unit_seal(AFTER - 1);
	expect_opens(BEFORE);
	unit_check(KMEMBLK_CHECK_REPAIR, &result);
	ck_assert_uint_eq(result.corrected + result.correctable + result.left, 0);
	expect_opens(BEFORE);
	unlink(unit_device);
	/* And after another size, or of another generation. */
	make_cut(false);
	unit_poke_number((AFTER - 1) * PAGE + SIZE_AT, 8, AFTER - 1);
	unit_seal(AFTER - 1);
	unit_check(KMEMBLK_CHECK_REPAIR, &result);
	ck_assert_uint_eq(result.corrected + result.correctable + result.left, 0);
	unlink(unit_device);
	make_cut(false);
	unit_poke_number((AFTER - 1) * PAGE + GENERATION_AT, 8, 3);
	unit_seal(AFTER - 1);
	unit_check(KMEMBLK_CHECK_REPAIR, &result);
	ck_assert_uint_eq(result.corrected + result.correctable + result.left, 0);
	expect_opens(BEFORE);
}
END_TEST

START_TEST(test_old_copy_is_not_taken_for_one_again)
{
	struct kmemblk_check_result result;
	uint8_t copy[PAGE];
	const char *cut = unit_path("cut");

	make();
	unit_peek((BEFORE - 1) * PAGE, copy, PAGE);
	expect_grown_from(BEFORE);
	/* A block may hold the same bytes. */
	unit_poke((BEFORE - 1) * PAGE, copy, PAGE);
	ck_assert_int_eq(truncate(unit_device, BEFORE * PAGE), 0);
	unit_copy_file(unit_device, cut);
	unit_check(KMEMBLK_CHECK_REPAIR, &result);
	ck_assert_uint_eq(result.corrected, 0);
	ck_assert_uint_eq(result.left, 1);
	ck_assert(unit_same_file(unit_device, cut));
}
END_TEST

UNIT_MAIN("grow", test_all_pages_are_used_and_nothing_else_changes,
	  test_a_volume_can_have_what_is_new, test_what_is_not_larger_stays_as_it_is,
	  test_page_by_page, test_type_none, test_refusals_change_nothing, test_unknown_features,
	  test_cut_within_the_copy, test_cut_before_the_primary, test_repair_finishes,
	  test_cut_within_the_primary, test_repair_of_a_cut_primary,
	  test_lost_primary_comes_back_with_the_new_size,
	  test_other_damage_is_not_taken_for_a_growth, test_copy_of_another_device_at_the_end,
	  test_old_copy_is_not_taken_for_one_again)
