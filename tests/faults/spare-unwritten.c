/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spare-unwritten.c - a sparse disk is opened again on a tmpfs that has become full meanwhile: where the
 * pages that overwrites need have storage, wherever they lie and though they were never written, all
 * is as before; where one has none, that is said, and the disk can be read.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "own-shm.h"
#include "unit.h"

#define BLOCKS	100u  /* so many pages of the spare, which is larger, need storage */
#define TABLES	3u    /* a record, a leaf and a table that names it, which count like blocks */
#define LAST	8000u /* a page near the end of 32 MiB that is no copy of the superblock */
#define DISTANT 7u    /* every so many pages one of the spare */

/* Whatever has storage and was never written loses it. */
static void punch_unwritten(int fd)
{
	const off_t size = lseek(fd, 0, SEEK_END);
	off_t hole, data = 0;

	while (data < size) {
		hole = lseek(fd, data, SEEK_HOLE);
		data = lseek(fd, hole, SEEK_DATA);
		if (data == -1)
			data = size;
		if (hole < data)
			ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						   hole, data - hole),
					 0);
	}
}

/* A disk of which nothing was overwritten, and whose spare, so many pages, lies far apart. */
static void make_disk(unsigned int spare)
{
	struct kmemblk *h;
	int fd;

	h = unit_make(32 * MIB);
	for (uint64_t block = 0; block < BLOCKS; block++)
		unit_write(h, block, block);
	ck_assert_uint_ge(unit_info(h).pages_spare, BLOCKS);
	kmemblk_close(h);
	fd = open(unit_device, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	punch_unwritten(fd);
	for (unsigned int i = 0; i < spare; i++)
		ck_assert_int_eq(fallocate(fd, FALLOC_FL_KEEP_SIZE,
					   (off_t)(LAST - i * DISTANT) * PAGE, PAGE),
				 0);
	close(fd);
	ck_assert(own_shm_fill());
}

static void expect_blocks(struct kmemblk *h, uint64_t version)
{
	for (uint64_t block = 0; block < BLOCKS; block++)
		unit_expect(h, block, block + version);
}

START_TEST(test_spare_is_found)
{
	struct kmemblk *h;

	make_disk(BLOCKS + TABLES);
	h = unit_open(0);
	expect_blocks(h, 0);
	for (uint64_t version = 1; version < 5; version++) {
		for (uint64_t block = 0; block < BLOCKS; block++)
			unit_write(h, block, block + version);
		expect_blocks(h, version);
	}
	unit_close_clean(h);
}
END_TEST

START_TEST(test_spare_has_no_storage)
{
	struct kmemblk *h;

	make_disk(BLOCKS + TABLES - 1);
	unit_expect_error(kmemblk_open(unit_device, 0, &h), ENOSPC,
			  "no room for the spare pages that overwrites need");
	h = unit_open(KMEMBLK_OPEN_READONLY);
	expect_blocks(h, 0);
	kmemblk_close(h);

	ck_assert(own_shm_give_back(1));
	h = unit_open(0);
	expect_blocks(h, 0);
	unit_close_clean(h);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { test_spare_is_found, test_spare_has_no_storage };

	return own_shm(16 * MIB) ? unit_run("spare-unwritten", tests, 2) : 77;
}
