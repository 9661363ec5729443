/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * badblocks.c - what the system knows to be bad is not handed out, and what depends on it is refused.
 *
 * A list with something on it takes memory that has failed.  So a file on tmpfs passes for one on
 * fsdax here, and libpmem2, when it has looked for the file's list in vain, tells the one below.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"
#include "common/disk.h"

static struct pmem2_badblock list[8];
static unsigned int listed, told;
static bool as_fsdax = true;
static uint64_t unreadable; /* page: touching it is SIGBUS; 0: none */

int __wrap_pmem2_badblock_next(struct pmem2_badblock_context *context, struct pmem2_badblock *next);
int __real_pmem2_badblock_next(struct pmem2_badblock_context *context, struct pmem2_badblock *next);
int __real_device_map(struct device *device);
int __wrap_device_map(struct device *device);

int __wrap_pmem2_badblock_next(struct pmem2_badblock_context *context, struct pmem2_badblock *next)
{
	ck_assert_int_eq(__real_pmem2_badblock_next(context, next), PMEM2_E_NO_BAD_BLOCK_FOUND);
	told++;
	if (told > listed)
		return PMEM2_E_NO_BAD_BLOCK_FOUND;
	*next = list[told - 1];
	return 0;
}

/* An empty file in its place. */
static void make_unreadable(const struct device *device)
{
	int fd = open(unit_path("empty"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	ck_assert(mmap(pm_page(&device->pm, unreadable), PAGE, PROT_READ, MAP_SHARED | MAP_FIXED,
		       fd, 0) != MAP_FAILED);
	close(fd);
}

int __wrap_device_map(struct device *device)
{
	int rc = __real_device_map(device);

	if (unreadable != 0)
		make_unreadable(device);

	if (as_fsdax)
		device->media = PM_FSDAX;
	told = 0;
	return rc;
}

static void know_bad(size_t offset, size_t length)
{
	list[listed++] = (struct pmem2_badblock){ offset, length };
}

/* A full device of 256 pages, with a spare of 5. */
static void make(void)
{
	struct kmemblk *h;

	listed = 0;
	unit_format_with(&(struct kmemblk_format_options){
		.create_size = MIB, .spare_pages = 5, .flags = KMEMBLK_FORMAT_PREALLOC });
	h = unit_open(0);
	for (uint64_t block = 0; block < disk_blocks(h); block++)
		unit_write(h, block, block);
	kmemblk_close(h);
}

static uint64_t bad_pages(struct kmemblk *h)
{
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	ck_assert_uint_eq(info.pages_used + info.pages_tables + info.pages_free +
				  info.pages_quarantined,
			  info.data_pages);
	return info.pages_quarantined;
}

/* Or a table, or a record, or it is one of the directory. */
static bool holds_a_block(struct kmemblk *h, uint64_t page)
{
	if (page < super_data_start(&h->super) || page == unit_record() || page == unit_table(0, 1))
		return true;
	for (uint64_t block = 0; block < disk_blocks(h); block++)
		if (unit_peek_page(block) == page)
			return true;
	return false;
}

/* A data page that is free, from `page` on. */
static uint64_t free_page(uint64_t page)
{
	struct kmemblk *h = unit_open(KMEMBLK_OPEN_READONLY);

	while (holds_a_block(h, page))
		page++;
	ck_assert_uint_lt(page, super_copy_page(&h->super));
	kmemblk_close(h);
	return page;
}

static void overwrite_all(struct kmemblk *h, unsigned int rounds)
{
	for (unsigned int round = 0; round < rounds; round++)
		for (uint64_t block = 0; block < disk_blocks(h); block++)
			unit_write(h, block, block);
	for (uint64_t block = 0; block < disk_blocks(h); block++)
		unit_expect(h, block, block);
}

START_TEST(test_free_pages_are_not_handed_out)
{
	uint64_t first, second;
	struct kmemblk *h;

	make();
	first = free_page(2);
	second = free_page(first + 1);
	know_bad(first * PAGE + 512, 512);
	know_bad(second * PAGE, PAGE);
	know_bad(second * PAGE + 1024, 512); /* told twice */
	h = unit_open(0);
	ck_assert_uint_eq(bad_pages(h), 2);
	overwrite_all(h, 10);
	ck_assert(!holds_a_block(h, first));
	ck_assert(!holds_a_block(h, second));
	ck_assert_uint_eq(bad_pages(h), 2);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_page_of_a_block_leaves_with_it)
{
	struct kmemblk *h;
	uint64_t page;

	make();
	page = unit_peek_page(7);
	know_bad(page * PAGE + PAGE - 512, 512);
	h = unit_open(0);
	/* It may well be readable, until something else is known. */
	ck_assert_uint_eq(bad_pages(h), 0);
	unit_expect(h, 7, 7);
	overwrite_all(h, 10);
	ck_assert(!holds_a_block(h, page));
	ck_assert_uint_eq(bad_pages(h), 1);
	kmemblk_close(h);
	h = unit_open(0);
	ck_assert_uint_eq(bad_pages(h), 1);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_whole_spare)
{
	struct kmemblk *h;
	uint8_t buf[PAGE];
	uint64_t page = 1;

	make();
	for (int i = 0; i < 5; i++) {
		page = free_page(page + 1);
		know_bad(page * PAGE, PAGE);
	}
	h = unit_open(0);
	ck_assert_uint_eq(bad_pages(h), 5);
	unit_fill(buf, 1);
	unit_expect_error(kmemblk_write(disk_of(h), buf, PAGE, 0), ENOSPC, "used up the spare");
	unit_expect(h, 0, 0);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_directory)
{
	struct kmemblk_check_result result;
	struct kmemblk *h;

	make();
	know_bad(PAGE + 512, 512);
	unit_expect_error(kmemblk_open(unit_device, 0, &h), EUCLEAN,
			  "page 1 of the directory has a bad block");
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect(h, 200, 200);
	kmemblk_close(h);
	ck_assert(strstr(unit_check(0, &result), "left: directory: page 1 has a bad block") !=
		  NULL);
	ck_assert_uint_eq(result.left, 1);
}
END_TEST

/* With repair or without. */
static void expect_media_errors(const char *which)
{
	const char *before = unit_path("before");
	struct kmemblk_check_result result;
	char words[200];

	snprintf(
		words, sizeof(words),
		"left: entry 0 of %s: media error; clear it (ndctl clear-errors, which zeroes what is "
		"bad), and check again\nleft: directory: 511 more entries behind media errors\n",
		which);
	unit_copy_file(unit_device, before);
	for (unsigned int flags = 0; flags < 2; flags++) {
		ck_assert(strstr(unit_check(flags, &result), words) != NULL);
		ck_assert_uint_eq(result.left, 3);
		ck_assert_uint_eq(result.correctable + result.corrected, 0);
	}
	ck_assert(unit_same_file(unit_device, before));
	unlink(before);
}

/* While it cannot be read the other one serves; when it has been cleared, it is written from there. */
START_TEST(test_directory_that_is_cleared)
{
	static const char *const which[] = { "the directory", "the directory's copy" };
	const uint8_t zeroes[PAGE] = { 0 };
	struct kmemblk_check_result result;
	struct kmemblk *h;

	if (!unit_faults_work())
		return;
	for (unsigned int copy = 0; copy < 2; copy++) {
		make();
		unreadable = 1 + copy;
		know_bad((1 + copy) * PAGE, PAGE);
		h = unit_open(KMEMBLK_OPEN_READONLY);
		unit_expect(h, 200, 200);
		kmemblk_close(h);
		unit_expect_error(kmemblk_open(unit_device, 0, &h), EUCLEAN, "has a bad block");
		listed = 0;
		unit_expect_error(kmemblk_open(unit_device, 0, &h), EUCLEAN, ": media error;");
		know_bad((1 + copy) * PAGE, PAGE);
		expect_media_errors(which[copy]);
		unreadable = listed = 0;
		unit_poke((1 + copy) * PAGE, zeroes, PAGE);
		/* Of a copy that is behind, a start makes an equal one, as after a crash. */
		if (copy == 0)
			ck_assert_str_eq(
				unit_check(KMEMBLK_CHECK_REPAIR, &result),
				"corrected: entry 0 of the directory is lost; written anew "
				"from its copy\n");
		h = unit_open(0);
		unit_expect(h, 200, 200);
		unit_close_clean(h);
		ck_assert_uint_eq(unit_peek_number(PAGE, 8), unit_record_entry(3, 0));
		ck_assert_uint_eq(unit_peek_number(2 * PAGE, 8), unit_record_entry(3, 0));
		unlink(unit_device);
	}
}
END_TEST

START_TEST(test_superblock)
{
	struct kmemblk *h;

	make();
	know_bad(0, 512);
	unit_expect_error(kmemblk_open(unit_device, 0, &h), EUCLEAN, "superblock: a bad block");
	unit_expect_error(kmemblk_open(unit_device, KMEMBLK_OPEN_READONLY, &h), EUCLEAN,
			  "superblock: a bad block");
}
END_TEST

START_TEST(test_what_is_not_ours)
{
	struct kmemblk_check_result result;
	struct kmemblk *h;

	make();
	know_bad(MIB - PAGE, 512);    /* the superblock's copy: check sees to it */
	know_bad(MIB, PAGE);	      /* behind the end */
	know_bad(~(size_t)511, 1024); /* an impossible one */
	know_bad(5 * PAGE, 0);
	h = unit_open(0);
	ck_assert_uint_eq(bad_pages(h), 0);
	kmemblk_close(h);
	/* From a data page to beyond the end. */
	know_bad(MIB - 2 * PAGE, ~(size_t)0 - MIB);
	ck_assert(strstr(unit_check(0, &result), "note: the system knows of bad blocks") != NULL);
	ck_assert_uint_eq(result.left, 0);
	h = unit_open(0);
	overwrite_all(h, 10);
	ck_assert_uint_eq(bad_pages(h), 1);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_other_media_are_not_asked)
{
	struct kmemblk *h;

	make();
	know_bad(0, MIB);
	as_fsdax = false;
	h = unit_open(0);
	overwrite_all(h, 1);
	unit_close_clean(h);
	ck_assert_uint_eq(told, 0);
	as_fsdax = true;
}
END_TEST

UNIT_MAIN("badblocks", test_free_pages_are_not_handed_out, test_page_of_a_block_leaves_with_it,
	  test_whole_spare, test_directory, test_directory_that_is_cleared, test_superblock,
	  test_what_is_not_ours, test_other_media_are_not_asked)
