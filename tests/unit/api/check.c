/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check.c - each kind of damage is found; what can be corrected without a guess is, by repair only.
 *
 * The device has 2000 pages: 0 the superblock, 1 and 2 the directory, 3-1998 data, 1999 the copy.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#define PAGES  2000u
#define COPY   ((PAGES - 1) * PAGE)
#define REPAIR KMEMBLK_CHECK_REPAIR

/* Blocks 0 to 9 are written. */
static void make(void)
{
	struct kmemblk *h;

	unit_format_with(&(struct kmemblk_format_options){
		.create_size = PAGES * PAGE, .disk_size = 1900 * PAGE, .label = "checked" });
	h = unit_open(0);
	for (uint64_t block = 0; block < 10; block++)
		unit_write(h, block, block);
	kmemblk_close(h);
}

/* The whole device is as make() left it. */
static void expect_whole(void)
{
	struct kmemblk *h;

	unit_expect_clean();
	h = unit_open(0);
	for (uint64_t block = 0; block < 10; block++)
		unit_expect(h, block, block);
	kmemblk_close(h);
}

/* Without repair: this finding and nothing changed.  `kind` such as "left". */
static void expect_finding(const char *kind, const char *words)
{
	const char *before = unit_path("before");
	struct kmemblk_check_result result;
	const char *text;
	char line[300];

	unit_copy_file(unit_device, before);
	text = unit_check(0, &result);
	snprintf(line, sizeof(line), "%s: %s", kind, words);
	ck_assert_msg(strstr(text, line) != NULL, "\"%s\" is not in: %s", line, text);
	ck_assert_uint_eq(result.corrected, 0);
	ck_assert_uint_eq(result.correctable > 0, strcmp(kind, "correctable") == 0);
	ck_assert_uint_eq(result.left > 0, strcmp(kind, "left") == 0);
	ck_assert(unit_same_file(unit_device, before));
	unlink(before);
}

/* With repair: this. */
static void repair(uint64_t corrected, uint64_t left, const char *words)
{
	struct kmemblk_check_result result;
	const char *text = unit_check(REPAIR, &result);

	ck_assert_msg(strstr(text, words) != NULL, "\"%s\" is not in: %s", words, text);
	ck_assert_uint_eq(result.corrected, corrected);
	ck_assert_uint_eq(result.correctable, 0);
	ck_assert_uint_eq(result.left, left);
}

START_TEST(test_sound_device)
{
	struct kmemblk_check_result result;

	make();
	ck_assert_str_eq(unit_check(0, &result), "");
	ck_assert_uint_eq(result.entries, 1900);
	ck_assert_uint_eq(result.pages_used, 10);
	ck_assert_str_eq(unit_check(REPAIR, &result), "");
	/* No options at all. */
	ck_assert_int_eq(kmemblk_check(unit_device, NULL, &result), 0);
	expect_whole();
}
END_TEST

START_TEST(test_primary_damaged)
{
	make();
	unit_poke_number(200, 1, 1);
	expect_finding("correctable", "superblock (page 0): wrong checksum; the copy is whole");
	repair(1, 0, "corrected: superblock (page 0): wrong checksum; written anew from the copy");
	expect_whole();
}
END_TEST

START_TEST(test_primary_gone)
{
	make();
	unit_poke_number(0, 8, 0);
	expect_finding("correctable", "superblock (page 0): no kmemblk superblock; the copy");
	repair(1, 0, "corrected: superblock (page 0)");
	expect_whole();
}
END_TEST

START_TEST(test_copy_damaged_or_gone)
{
	make();
	unit_poke_number(COPY + 200, 1, 1);
	expect_finding("correctable", "superblock copy (page 1999): wrong checksum; the primary");
	repair(1, 0, "corrected: superblock copy (page 1999): wrong checksum");
	expect_whole();
	/* Without storage, even. */
	ck_assert_int_eq(truncate(unit_device, COPY), 0);
	ck_assert_int_eq(truncate(unit_device, PAGES * PAGE), 0);
	expect_finding("correctable", "superblock copy (page 1999): no kmemblk superblock");
	repair(1, 0, "corrected: superblock copy (page 1999)");
	expect_whole();
}
END_TEST

START_TEST(test_both_damaged)
{
	make();
	unit_poke_number(200, 1, 1);
	unit_poke_number(COPY + 200, 1, 1);
	expect_finding("left", "superblock (page 0): wrong checksum; and there is no whole copy at "
			       "the end of the device (page 1999)");
	repair(0, 1, "left: superblock (page 0): wrong checksum");
}
END_TEST

START_TEST(test_copy_differs)
{
	make();
	unit_poke(COPY + 112, "another", 7);
	unit_seal(PAGES - 1);
	expect_finding("correctable", "superblock copy (page 1999): differs from the primary");
	repair(1, 0, "corrected: superblock copy (page 1999): differs");
	expect_whole();
}
END_TEST

START_TEST(test_copy_is_newer)
{
	struct kmemblk_info info;

	/* A rewrite goes to the copy first; this one was cut after it. */
	make();
	unit_poke_number(COPY + 80, 8, 2);
	unit_poke(COPY + 112, "renamed", 7);
	unit_seal(PAGES - 1);
	expect_finding("correctable", "superblock (page 0): older than its copy");
	repair(1, 0, "corrected: superblock (page 0): older than its copy");
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_str_eq(info.label, "renamed");
	ck_assert_uint_eq(info.generation, 2);
	expect_whole();
}
END_TEST

START_TEST(test_newer_copy_of_another_size_changes_nothing)
{
	/* Nothing writes such a thing; taking it over would cost the last five pages. */
	make();
	unit_poke_number(COPY + 80, 8, 2);
	unit_poke_number(COPY + 64, 8, 1);
	unit_poke_number(COPY + 48, 8, 1995);
	unit_seal(PAGES - 1);
	expect_finding("correctable", "superblock copy (page 1999): differs from the primary");
	repair(1, 0, "corrected: superblock copy (page 1999): differs");
	expect_whole();
}
END_TEST

START_TEST(test_mkfs_was_there)
{
	uint8_t zeroes[PAGE] = { 0 };

	/* A swap area over page 0. */
	make();
	unit_poke(0, zeroes, PAGE);
	unit_poke_number(1024, 4, 1);
	unit_poke_number(1028, 4, PAGES - 1);
	unit_poke(PAGE - 10, "SWAPSPACE2", 10);
	expect_finding("left", "superblock (page 0): the device now holds swap; the copy of an old "
			       "superblock at its end is not brought back");
	repair(0, 1, "is not brought back");
	ck_assert_uint_eq(unit_peek_number(0, 8), 0);
}
END_TEST

START_TEST(test_newer_format_is_left_alone)
{
	make();
	unit_poke_number(8, 4, 3);
	unit_seal(0);
	expect_finding("left", "superblock (page 0): format version 3; this version reads 2");
	repair(0, 1, "format version 3");
	unit_poke_number(8, 4, 2);
	unit_seal(0);
	unit_poke_number(COPY + 32, 8, 1);
	unit_seal(PAGES - 1);
	expect_finding("left", "superblock copy (page 1999): needs features");
}
END_TEST

static int check_repair(void)
{
	struct kmemblk_check_result result;

	return kmemblk_check(unit_device, &(struct kmemblk_check_options){ .flags = REPAIR },
			     &result);
}

START_TEST(test_features_that_allow_reading_only_forbid_repair)
{
	make();
	unit_poke_number(24, 8, 1);
	unit_seal(0);
	unit_poke_number(COPY + 24, 8, 1);
	unit_seal(PAGES - 1);
	expect_finding("note", "has features this version can only read (ro-compat 0x1)");
	unit_poke_number(COPY + 200, 1, 1);
	unit_expect_error(check_repair(), EMEDIUMTYPE, "can only read (ro-compat 0x1)");
	unit_poke_number(COPY + 200, 1, 0);
	unit_poke_number(PAGE, 8, 0);
	unit_expect_error(check_repair(), EMEDIUMTYPE, "can only read (ro-compat 0x1)");
	ck_assert_uint_eq(unit_peek_number(PAGE, 8), 0);
	/* Also when only the copy is left to say so. */
	unit_poke_number(0, 8, 0);
	unit_expect_error(check_repair(), EMEDIUMTYPE, "can only read (ro-compat 0x1)");
	ck_assert_uint_eq(unit_peek_number(0, 8), 0);
}
END_TEST

/* ---- the directory --------------------------------------------------------------------------- */

/* One of two volumes: the entries of the second. */
#define ENTRY (PAGE + 8)
#define OTHER (2 * PAGE + 8)

static uint64_t make_second(void)
{
	struct kmemblk *h;

	make();
	h = unit_open(0);
	ck_assert_int_eq(kmemblk_volume_create(h, "second", 100 * PAGE, 0), 0);
	kmemblk_close(h);
	return unit_peek_number(ENTRY, 8);
}

/* Whichever way one of the two is wrong, it becomes the other. */
START_TEST(test_entry_of_the_directory)
{
	uint64_t entry = make_second(), page = entry & ((1ull << 39) - 1);
	const uint64_t wrongs[] = {
		entry ^ 1,
		entry ^ 1ull << 50,
		entry ^ 1ull << 63,
		unit_record_entry(page, 2),
		~0ull,
		page,
	};

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		unit_poke_number(ENTRY, 8, wrongs[i]);
		expect_finding(
			"correctable",
			"entry 1 of the directory is damaged; its copy is whole: add --repair to "
			"write it anew from there");
		repair(1, 0,
		       "corrected: entry 1 of the directory is damaged; written anew from its copy");
		ck_assert_uint_eq(unit_peek_number(ENTRY, 8), entry);
		unit_poke_number(OTHER, 8, wrongs[i]);
		expect_finding(
			"correctable",
			"entry 1 of the directory's copy is damaged; the directory's is whole: "
			"add --repair to write it anew from there");
		repair(1, 0,
		       "corrected: entry 1 of the directory's copy is damaged; written anew from the "
		       "directory");
		ck_assert_uint_eq(unit_peek_number(OTHER, 8), entry);
	}
	unit_poke_number(ENTRY, 8, 0);
	expect_finding("correctable", "entry 1 of the directory is lost; its copy is whole");
	repair(1, 0, "corrected: entry 1 of the directory is lost; written anew from its copy");
	ck_assert_uint_eq(unit_peek_number(ENTRY, 8), entry);
	unit_expect_clean();
}
END_TEST

/* As a crash leaves it: nothing is said, and nothing done. */
START_TEST(test_directory_after_a_crash)
{
	uint64_t entry = make_second();

	unit_poke_number(OTHER, 8, 0);
	repair(0, 0, "");
	ck_assert_uint_eq(unit_peek_number(OTHER, 8), 0);
	kmemblk_close(unit_open(0));
	ck_assert_uint_eq(unit_peek_number(OTHER, 8), entry);
}
END_TEST

/* Neither has a record that is whole, or both have, and they are of different volumes. */
START_TEST(test_directory_that_is_left)
{
	uint64_t entry = make_second(), first = unit_peek_number(PAGE, 8);
	uint64_t page = entry & ((1ull << 39) - 1);
	uint8_t record[PAGE];

	unit_poke_number(ENTRY, 8, entry ^ 4);
	unit_poke_number(OTHER, 8, entry ^ 8);
	expect_finding("left", "entry 1 of the directory is damaged\nleft: entry 1 of the "
			       "directory's copy is damaged\nnote: opened read-only");
	repair(0, 2, "left: entry 1");
	unit_poke_number(OTHER, 8, 0);
	expect_finding("left", "entry 1 of the directory is damaged\nnote: opened read-only");
	repair(0, 1, "left: entry 1");
	/* The first volume's record, rightly named. */
	unit_poke_number(OTHER, 8, unit_record_entry(unit_record(), 1));
	expect_finding("left",
		       "volume 1 has the name or the record of another, kmem0\nleft: entry 1 "
		       "of the directory is damaged");
	repair(0, 2, "left: volume 1");
	unit_poke_number(ENTRY, 8, entry);
	expect_finding("left",
		       "entry 1 of the directory and its copy name different volumes, second "
		       "and kmem0");
	repair(0, 1, "left: entry 1");
	ck_assert_uint_eq(unit_peek_number(OTHER, 8), unit_record_entry(unit_record(), 1));
	unit_poke_number(ENTRY, 8, entry ^ 4);
	unit_poke_number(OTHER, 8, entry);
	/* The record, a bit of its name. */
	unit_peek(page * PAGE, record, PAGE);
	unit_poke_number(page * PAGE + 57, 1, record[57] ^ 2);
	expect_finding("left", "the record of volume 1 is damaged: wrong checksum");
	repair(0, 2, "left: entry 1 of the directory is damaged");
	ck_assert_uint_eq(unit_peek_number(ENTRY, 8), entry ^ 4);
	ck_assert_uint_eq(unit_peek_number(PAGE, 8), first);
}
END_TEST

/* Of more than a hundred, the others are counted, and mended all the same; in the second page, too. */
START_TEST(test_many_entries_of_the_directory)
{
	struct kmemblk_check_result result;
	const uint8_t zeroes[2 * PAGE] = { 0 };
	struct kmemblk *h;
	const char *text;
	char name[16];

	unit_format_with(&(struct kmemblk_format_options){
		.create_size = PAGES * PAGE, .disk_size = 9 * PAGE, .views = 1024 });
	h = unit_open(0);
	for (unsigned int i = 1; i < 600; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		ck_assert_int_eq(kmemblk_volume_create(h, name, PAGE, 0), 0);
	}
	kmemblk_close(h);
	unit_poke(PAGE, zeroes, sizeof(zeroes));
	text = unit_check(0, &result);
	ck_assert(strstr(text, "correctable: entry 99 of the directory is lost; its copy is") !=
		  NULL);
	ck_assert(strstr(text, "entry 100 ") == NULL);
	ck_assert(strstr(text, "correctable: directory: 500 more entries to be written anew\n") !=
		  NULL);
	ck_assert_uint_eq(result.correctable, 101);
	repair(101, 0, "corrected: directory: 500 more entries written anew\n");
	unit_expect_clean();
	h = unit_open(0);
	ck_assert_uint_eq(unit_info(h).volumes, 600);
	kmemblk_close(h);
	/* One in the second page. */
	unit_poke_number(2 * PAGE + 8 * 87, 8, 5);
	repair(1, 0,
	       "corrected: entry 599 of the directory is damaged; written anew from its copy");
	unit_poke_number(4 * PAGE + 8 * 87, 8, 5);
	repair(1, 0, "corrected: entry 599 of the directory's copy is damaged; written anew");
	unit_expect_clean();
}
END_TEST

/* A page of the directory that has no storage gets some. */
START_TEST(test_directory_without_storage)
{
	struct kmemblk_info info;
	int fd;

	make_second();
	fd = open(unit_device, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE), 0);
	close(fd);
	repair(2, 0, "corrected: entry 1 of the directory is lost; written anew from its copy");
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_uint_eq(info.volumes, 2);
	expect_whole();
}
END_TEST

/* ---- the map --------------------------------------------------------------------------------- */

START_TEST(test_wild_entry)
{
	make();
	unit_poke_page(3, 1999);
	expect_finding("left",
		       "kmem0: block 3: its entry names page 1999, which is no data page (those "
		       "are 3 to 1998); what it held is lost");
	repair(0, 1, "left: kmem0: block 3");
	ck_assert_uint_eq(unit_peek_entry(3), unit_entry(1999));
}
END_TEST

START_TEST(test_shared_page)
{
	struct kmemblk_check_result result;
	const char *text;
	uint64_t page;

	make();
	page = unit_peek_entry(4);
	unit_poke_entry(1500, page);
	text = unit_check(0, &result);
	/* Both blocks are told: nobody knows which is right. */
	ck_assert(strstr(text, "block 4: its entry names page ") != NULL);
	ck_assert(strstr(text, "block 1500: its entry names page ") != NULL);
	ck_assert_uint_eq(result.left, 2);
	repair(0, 2, "left: kmem0: block 4");
	ck_assert_uint_eq(unit_peek_entry(4), page);
	ck_assert_uint_eq(unit_peek_entry(1500), page);
}
END_TEST

START_TEST(test_many_wild_entries_are_counted)
{
	struct kmemblk_check_result result;
	const char *text;

	make();
	for (uint64_t block = 100; block < 350; block++)
		unit_poke_entry(block, ~0ull);
	text = unit_check(0, &result);
	ck_assert(strstr(text, "map: 150 more damaged entries") != NULL);
	ck_assert(strstr(text, "note: opened read-only, the device serves every other") != NULL);
}
END_TEST

START_TEST(test_what_is_past_the_end_is_a_note)
{
	struct kmemblk_check_result result;

	make();
	unit_poke_page(1900, 77);
	unit_poke_page(2047, 78);
	ck_assert_str_eq(
		unit_check(REPAIR, &result),
		"note: kmem0: 2 entries past its end, from when it was made smaller: the next start "
		"clears them\n");
	kmemblk_close(unit_open(0));
	ck_assert_uint_eq(unit_peek_entry(1900) + unit_peek_entry(2047), 0);
	expect_whole();
}
END_TEST

/* ---- the device ------------------------------------------------------------------------------ */

START_TEST(test_grown_device_is_a_note)
{
	struct kmemblk_check_result result;
	const char *text;

	make();
	ck_assert_int_eq(truncate(unit_device, 3000 * PAGE), 0);
	text = unit_check(0, &result);
	ck_assert_ptr_nonnull(strstr(text,
				     "note: the device has 3000 pages, of which the format uses "
				     "2000; to use all, type: kmemblk grow /dev/shm/"));
}
END_TEST

START_TEST(test_device_cut_short)
{
	make();
	ck_assert_int_eq(truncate(unit_device, 1500 * PAGE), 0);
	expect_finding("left", "superblock (page 0): made for 2000 pages, but the device has only "
			       "1500: it was cut short");
}
END_TEST

START_TEST(test_not_a_device)
{
	for (uint64_t size = 0; size < 3 * PAGE; size += 2048) {
		unit_make_file(unit_device, size);
		expect_finding("left", "the device has only ");
	}
	unit_make_file(unit_device, MIB);
	expect_finding("left", "superblock (page 0): no kmemblk superblock; and there is no");
}
END_TEST

START_TEST(test_busy_and_bad_flags)
{
	struct kmemblk_check_result result;
	struct kmemblk *h;

	make();
	h = unit_open(KMEMBLK_OPEN_READONLY);
	/* Readers share. */
	unit_expect_clean();
	unit_expect_error(check_repair(), EBUSY, "in use by process");
	kmemblk_close(h);
	h = unit_open(0);
	unit_expect_error(kmemblk_check(unit_device, NULL, &result), EBUSY, "in use by process");
	kmemblk_close(h);
	unit_expect_error(kmemblk_check(unit_device, &(struct kmemblk_check_options){ .flags = 6 },
					&result),
			  EINVAL, "unknown flags 0x6");
}
END_TEST

UNIT_MAIN("check", test_sound_device, test_primary_damaged, test_primary_gone,
	  test_copy_damaged_or_gone, test_both_damaged, test_copy_differs, test_copy_is_newer,
	  test_newer_copy_of_another_size_changes_nothing, test_mkfs_was_there,
	  test_newer_format_is_left_alone, test_features_that_allow_reading_only_forbid_repair,
	  test_entry_of_the_directory, test_directory_after_a_crash, test_directory_that_is_left,
	  test_many_entries_of_the_directory, test_directory_without_storage, test_wild_entry,
	  test_shared_page, test_many_wild_entries_are_counted, test_what_is_past_the_end_is_a_note,
	  test_grown_device_is_a_note, test_device_cut_short, test_not_a_device,
	  test_busy_and_bad_flags)
