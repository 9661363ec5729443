/* SPDX-License-Identifier: BSD-3-Clause */
/* read.c - reading what is there, what is not there, and what is damaged. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"
#include "common/disk.h"

START_TEST(test_unwritten_reads_as_zeroes_and_takes_no_storage)
{
	struct kmemblk *h;
	uint8_t *buf = malloc(4 * MIB);
	uint64_t before;

	h = unit_make(8 * MIB);
	before = unit_storage(unit_device);
	memset(buf, 1, 4 * MIB);
	ck_assert_int_eq(kmemblk_read(disk_of(h), buf, 4 * MIB, 12345), 0);
	ck_assert(unit_is_zero(buf, 4 * MIB));
	ck_assert_uint_eq(unit_storage(unit_device), before);
	kmemblk_close(h);
	free(buf);
}
END_TEST

START_TEST(test_runs_of_all_kinds)
{
	struct kmemblk *h;
	uint8_t *buf = malloc(100 * PAGE);

	/* Adjacent pages, pages out of order, blocks without pages, all in one read. */
	h = unit_make(8 * MIB);
	for (uint64_t block = 0; block < 40; block++)
		unit_write(h, block, block + 1);
	for (uint64_t block = 90; block > 50; block--)
		unit_write(h, block, block + 1);
	for (uint64_t block = 1; block < 40; block += 5)
		unit_write(h, block, block + 1);
	memset(buf, 7, 100 * PAGE);
	ck_assert_int_eq(kmemblk_read(disk_of(h), buf, 100 * PAGE, 0), 0);
	for (uint64_t block = 0; block < 100; block++)
		if (block < 40 || (block > 50 && block <= 90))
			ck_assert(unit_is(buf + block * PAGE, block + 1));
		else
			ck_assert(unit_is_zero(buf + block * PAGE, PAGE));
	kmemblk_close(h);
	free(buf);
}
END_TEST

START_TEST(test_out_of_range)
{
	struct kmemblk *h;
	uint8_t buf[16];
	uint64_t size;

	unit_format(8 * MIB, 0);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	size = disk_blocks(h) * PAGE;
	ck_assert_int_eq(kmemblk_read(disk_of(h), buf, 16, size - 16), 0);
	ck_assert_int_eq(kmemblk_read(disk_of(h), buf, 0, size), 0);
	unit_expect_error(kmemblk_read(disk_of(h), buf, 16, size - 15), EINVAL, "read: ");
	unit_expect_error(kmemblk_read(disk_of(h), buf, 16, ~0ull - 3), EINVAL,
			  "are not inside the disk");
	unit_expect_error(kmemblk_read(disk_of(h), buf, 0, size + 1), EINVAL,
			  "are not inside the disk");
	kmemblk_close(h);
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------- */

static int read_block(struct kmemblk *h, uint64_t block)
{
	uint8_t buf[PAGE];

	return kmemblk_read(disk_of(h), buf, PAGE, block * PAGE);
}

START_TEST(test_damaged_entries_hurt_only_their_blocks)
{
	struct kmemblk *h;
	uint8_t buf[3 * PAGE];

	h = unit_make(8 * MIB);
	for (uint64_t block = 0; block < 10; block++)
		unit_write(h, block, block + 1);
	kmemblk_close(h);
	unit_poke_entry(3, 0);
	unit_poke_entry(4, ~0ull);
	unit_poke_entry(7, unit_peek_entry(8));
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_zero(h, 3);
	unit_expect_error(read_block(h, 4), EIO, "block 4 cannot be found");
	/* Of two blocks on one page, that whose page it is is known. */
	unit_expect_error(read_block(h, 7), EIO, "block 7 is damaged: page ");
	unit_expect(h, 8, 9);
	unit_expect(h, 2, 3);
	unit_expect(h, 9, 10);
	unit_expect_error(kmemblk_read(disk_of(h), buf, 3 * PAGE, 2 * PAGE + 9), EIO,
			  "block 4 cannot be found");
	kmemblk_close(h);
}
END_TEST

START_TEST(test_entry_damaged_while_open)
{
	struct kmemblk *h = unit_make(8 * MIB);

	unit_write(h, 5, 1);
	unit_poke_entry(5, 1ull << 41 ^ unit_peek_entry(5));
	unit_expect_error(read_block(h, 5), EIO, "block 5 cannot be found");
	unit_expect_error(kmemblk_write(disk_of(h), "x", 1, 5 * PAGE), EIO,
			  "of block 5 is damaged");
	/* A whole write needs nothing of the old one. */
	unit_write(h, 5, 2);
	unit_expect(h, 5, 2);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_file_cut_short_while_open)
{
	struct kmemblk *h, *other;
	const char *path = unit_path("other");
	uint8_t page[PAGE];

	if (!unit_faults_work())
		return;
	h = unit_make(8 * MIB);
	unit_write(h, 0, 1);
	ck_assert_int_eq(
		kmemblk_format(path, &(struct kmemblk_format_options){ .create_size = MIB }), 0);
	ck_assert_int_eq(kmemblk_open(path, 0, &other), 0);
	ck_assert_int_eq(kmemblk_start(other), 0);
	unit_write(other, 0, 2);
	ck_assert_int_eq(truncate(unit_device, unit_peek_page(0) * PAGE), 0);
	/* Any number of times; the process lives and the other device is served. */
	for (int i = 0; i < 10; i++) {
		unit_expect_error(kmemblk_read(disk_of(h), page, PAGE, 0), EIO,
				  "cut short before page ");
		unit_expect(other, 0, 2);
	}
	kmemblk_close(h);
	unit_write(other, 1, 3);
	unit_expect(other, 1, 3);
	kmemblk_close(other);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* ---- against writers ------------------------------------------------------------------------- */

#define HOT 3u

static _Atomic bool stop;
static _Atomic uint64_t torn;

static void *read_hot(void *opaque)
{
	struct kmemblk *h = opaque;
	uint8_t buf[HOT * PAGE];

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		if (kmemblk_read(disk_of(h), buf, sizeof(buf), 0) != 0)
			atomic_fetch_add(&torn, 1);
		/* All bytes of a block come from one write, and say which block it is. */
		for (unsigned int block = 0; block < HOT; block++)
			for (unsigned int i = 0; i < PAGE; i++)
				if (buf[block * PAGE + i] != buf[block * PAGE] ||
				    (buf[block * PAGE] != 0 && buf[block * PAGE] % HOT != block))
					atomic_fetch_add(&torn, 1);
	}
	return NULL;
}

START_TEST(test_blocks_are_never_torn)
{
	pthread_t readers[2];
	struct kmemblk *h;
	uint8_t page[PAGE];

	/* As few pages as can be, so that they are reused at once. */
	unit_format_with(&(struct kmemblk_format_options){
		.create_size = (HOT + 7) * PAGE, .disk_size = HOT * PAGE, .spare_pages = 1 });
	h = unit_open(0);
	for (int i = 0; i < 2; i++)
		pthread_create(&readers[i], NULL, read_hot, h);
	for (uint64_t i = 1; i < scale(20000); i++) {
		unsigned int block = (unsigned int)i % HOT;

		memset(page, (int)((i * HOT + block) % (80 * HOT)), PAGE);
		ck_assert_int_eq(kmemblk_write(disk_of(h), page, PAGE, block * PAGE), 0);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	ck_assert_uint_eq(atomic_load(&torn), 0);
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("read", test_unwritten_reads_as_zeroes_and_takes_no_storage, test_runs_of_all_kinds,
	  test_out_of_range, test_damaged_entries_hurt_only_their_blocks,
	  test_entry_damaged_while_open, test_file_cut_short_while_open, test_blocks_are_never_torn)
