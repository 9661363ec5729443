/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media-error.c - single pages of an open device go bad: in data, in a leaf, two in a row.
 *
 * A page goes bad by mapping an empty file over it: touching it is SIGBUS then, as it is for
 * media that has failed, for this page and no other.  The device's file is as before, so that at
 * the end it shows whether all that was acknowledged reached it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"
#include "common/disk.h"

#define BLOCKS 600u /* written: more than a leaf */

/* On page `page` the media has failed. */
static void lose(struct kmemblk *h, uint64_t page)
{
	int fd = open(unit_path("empty"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	ck_assert(fd != -1);
	ck_assert(mmap(pm_page(&h->device.pm, page), PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED);
	close(fd);
}

static struct kmemblk *make(void)
{
	struct kmemblk *h = unit_make(8 * MIB);

	for (uint64_t block = 0; block < BLOCKS; block++)
		unit_write(h, block, block);
	return h;
}

static uint64_t bad_pages(struct kmemblk *h)
{
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	return info.pages_quarantined;
}

/* The blocks from `first` hold what make() wrote, `but` excepted. */
static void expect_others(struct kmemblk *h, uint64_t first, uint64_t but)
{
	for (uint64_t block = first; block < BLOCKS; block++)
		if (block != but)
			unit_expect(h, block, block);
}

static void expect_bad(int rc, const char *what, uint64_t page)
{
	char words[64];

	snprintf(words, sizeof(words), "%s: %s: media error at page %llu", what, unit_device,
		 (unsigned long long)page);
	unit_expect_error(rc, EIO, words);
}

START_TEST(test_in_data_costs_one_block_until_it_is_written)
{
	struct kmemblk *h;
	uint8_t buf[PAGE];
	uint64_t page;

	if (!unit_faults_work())
		return;
	h = make();
	page = unit_peek_page(7);
	lose(h, page);
	for (int i = 0; i < 3; i++) {
		expect_bad(kmemblk_read(disk_of(h), buf, PAGE, 7 * PAGE), "read", page);
		expect_bad(kmemblk_write(disk_of(h), "abc", 3, 7 * PAGE + 100), "write", page);
		expect_bad(kmemblk_zero(disk_of(h), 100, 7 * PAGE, 0), "zero", page);
		expect_others(h, 0, 7);
	}
	ck_assert_int_eq(kmemblk_flush(disk_of(h)), 0);
	/* A whole write needs nothing of the old one, and takes the page out of use. */
	unit_write(h, 7, 7);
	unit_expect(h, 7, 7);
	AWAIT(bad_pages(h) != 0);
	/* Each page goes round several times. */
	for (uint64_t i = 0; i < scale(10000); i++)
		unit_write(h, i % BLOCKS, i % BLOCKS);
	ck_assert_uint_eq(bad_pages(h), 1);
	expect_others(h, 0, BLOCKS);
	unit_close_clean(h);
	h = unit_open(0);
	expect_others(h, 0, BLOCKS);
	/* It is tried anew. */
	ck_assert_uint_eq(bad_pages(h), 0);
	kmemblk_close(h);
}
END_TEST

/* Each block of a small disk has its page, and `spare` pages are free. */
static void make_thick(uint64_t spare)
{
	unit_format_with(&(struct kmemblk_format_options){
		.create_size = MIB, .spare_pages = spare, .flags = KMEMBLK_FORMAT_PREALLOC });
}

/* Make `count` of the free pages of a full disk bad. */
static void lose_free_pages(struct kmemblk *h, unsigned int count)
{
	bool named[256] = { false };

	for (uint64_t block = 0; block < disk_blocks(h); block++)
		named[unit_peek_page(block)] = true;
	for (uint64_t page = super_data_start(&h->super) + 2; count > 0; page++)
		if (!named[page]) {
			lose(h, page);
			count--;
		}
}

START_TEST(test_bad_free_pages_fail_no_write)
{
	struct kmemblk *h;
	uint8_t buf[PAGE];
	uint64_t blocks;

	if (!unit_faults_work())
		return;
	make_thick(5);
	h = unit_open(0);
	blocks = disk_blocks(h);
	for (uint64_t block = 0; block < blocks; block++)
		unit_write(h, block, block);
	kmemblk_close(h);
	h = unit_open(0);
	lose_free_pages(h, 2);
	for (uint64_t i = 0; i < 10 * blocks; i++) {
		uint64_t block = i % blocks;

		unit_fill(buf, block);
		if (i % 2 == 0)
			ck_assert_int_eq(kmemblk_write(disk_of(h), buf, PAGE, block * PAGE), 0);
		else
			ck_assert_int_eq(kmemblk_write(disk_of(h), buf + 9, 100, block * PAGE + 9),
					 0);
		unit_expect(h, block, block);
	}
	ck_assert_uint_eq(bad_pages(h), 2);
	for (uint64_t block = 0; block < blocks; block++)
		unit_expect(h, block, block);
	unit_close_clean(h);
}
END_TEST

/* A write tries several pages, not all there are: it may be memory that is short, and not media. */
START_TEST(test_whole_spare_is_said_to_be_used_up)
{
	struct kmemblk *h;
	uint8_t buf[PAGE];

	if (!unit_faults_work())
		return;
	make_thick(6);
	h = unit_open(0);
	lose_free_pages(h, 6);
	unit_fill(buf, 1);
	unit_expect_error(kmemblk_write(disk_of(h), buf, PAGE, 0), EIO, "media error at page ");
	ck_assert_uint_eq(bad_pages(h), 4);
	for (int i = 0; i < 2; i++) {
		int rc = kmemblk_write(disk_of(h), buf, PAGE, 0);

		unit_expect_error(rc, ENOSPC, "media errors have used up the spare");
		ck_assert_uint_eq(bad_pages(h), 6);
	}
	unit_expect_zero(h, 0);
	unit_close_clean(h);
}
END_TEST

/* Of a range that meets a bad page each block is old or new, and what follows is served. */
START_TEST(test_in_the_middle_of_a_range)
{
	static uint8_t buf[64 * PAGE];
	struct kmemblk *h;
	uint64_t first, second;

	if (!unit_faults_work())
		return;
	h = make();
	first = unit_peek_page(20);
	second = unit_peek_page(40);
	lose(h, first);
	lose(h, second);
	expect_bad(kmemblk_read(disk_of(h), buf, sizeof(buf), 0), "read", first);
	expect_bad(kmemblk_read(disk_of(h), buf, 32 * PAGE, 32 * PAGE), "read", second);
	/* Parts at both ends, of which the second is on the bad page. */
	memset(buf, 5, sizeof(buf));
	expect_bad(kmemblk_write(disk_of(h), buf, 10 * PAGE, 10 * PAGE + 50), "write", first);
	expect_others(h, 21, 40);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 64 * PAGE, 0), 0);
	AWAIT(bad_pages(h) >= 2);
	for (uint64_t block = 0; block < 64; block++)
		unit_expect_zero(h, block);
	unit_close_clean(h);
}
END_TEST

struct reader {
	struct kmemblk *h;
	uint64_t bad_block, page;
	bool right;
};

static void *read_good_and_bad(void *opaque)
{
	struct reader *r = opaque;
	uint8_t buf[PAGE];
	char words[64];

	snprintf(words, sizeof(words), "media error at page %llu,", (unsigned long long)r->page);
	for (int i = 0; r->right && i < 2000; i++) {
		r->right = kmemblk_read(disk_of(r->h), buf, PAGE, r->bad_block * PAGE) == -EIO &&
			   strstr(kmemblk_error(), words) != NULL &&
			   kmemblk_read(disk_of(r->h), buf, PAGE, (r->bad_block + 1) * PAGE) == 0 &&
			   unit_is(buf, r->bad_block + 1);
	}
	return NULL;
}

START_TEST(test_two_threads_at_once)
{
	struct reader readers[2] = { { .bad_block = 11 }, { .bad_block = 550 } };
	pthread_t threads[2];
	struct kmemblk *h;

	if (!unit_faults_work())
		return;
	h = make();
	for (int i = 0; i < 2; i++) {
		readers[i].h = h;
		readers[i].right = true;
		readers[i].page = unit_peek_page(readers[i].bad_block);
		lose(h, readers[i].page);
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_good_and_bad, &readers[i]),
				 0);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		ck_assert(readers[i].right);
	}
	unit_close_clean(h);
}
END_TEST

/* A leaf: blocks whose entries are elsewhere are served. */
START_TEST(test_in_a_leaf)
{
	struct kmemblk *h;
	uint8_t buf[PAGE];
	uint64_t leaf;

	if (!unit_faults_work())
		return;
	h = make();
	leaf = unit_table(0, 1);
	lose(h, leaf);
	unit_fill(buf, 1);
	for (int i = 0; i < 3; i++) {
		expect_bad(kmemblk_read(disk_of(h), buf, PAGE, 7 * PAGE), "read", leaf);
		expect_bad(kmemblk_write(disk_of(h), buf, PAGE, 7 * PAGE), "write", leaf);
		expect_bad(kmemblk_write(disk_of(h), "abc", 3, 8 * PAGE + 1), "write", leaf);
		expect_others(h, LAYOUT_TABLE_ENTRIES, BLOCKS);
		unit_write(h, BLOCKS - 1, BLOCKS - 1);
	}
	ck_assert_int_eq(kmemblk_flush(disk_of(h)), 0);
	unit_close_clean(h);
	h = unit_open(0);
	expect_others(h, 0, BLOCKS);
	kmemblk_close(h);
}
END_TEST

/* It is not known whether the entries are clear: nothing more is written. */
START_TEST(test_trim_in_a_leaf)
{
	struct kmemblk *h;

	if (!unit_faults_work())
		return;
	h = make();
	lose(h, unit_table(0, 1));
	unit_expect_error(kmemblk_trim(disk_of(h), PAGE, 7 * PAGE), EIO, "now read-only");
	unit_expect_error(kmemblk_flush(disk_of(h)), EIO, "earlier failure to persist");
	unit_expect_error(kmemblk_trim(disk_of(h), PAGE, 590 * PAGE), EROFS,
			  "read-only since a failure");
	expect_others(h, LAYOUT_TABLE_ENTRIES, BLOCKS);
	unit_close_clean(h);
	h = unit_open(0);
	expect_others(h, 0, BLOCKS);
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("media-error", test_in_data_costs_one_block_until_it_is_written,
	  test_bad_free_pages_fail_no_write, test_whole_spare_is_said_to_be_used_up,
	  test_in_the_middle_of_a_range, test_two_threads_at_once, test_in_a_leaf,
	  test_trim_in_a_leaf)
