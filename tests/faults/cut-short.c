/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cut-short.c - a file that is cut short under an open device stays short: what was in the part that
 * is gone is an error for as long as the handle lives, and never zeroes.
 */
#include "config.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"
#include "common/disk.h"

#define LEFT	(2 * MIB)
#define WRITTEN 1000u /* blocks, of which about half are in what is left */

static uint64_t size(void)
{
	struct stat st;

	ck_assert_int_eq(stat(unit_device, &st), 0);
	return (uint64_t)st.st_size;
}

/* Blocks [0, count) are as written or an error; how many are an error. */
static unsigned int lost_of(struct kmemblk *h, uint64_t count)
{
	unsigned int lost = 0;
	uint8_t buf[PAGE];

	for (uint64_t block = 0; block < count; block++) {
		int rc = kmemblk_read(disk_of(h), buf, PAGE, block * PAGE);

		if (rc == 0)
			ck_assert_msg(unit_is(buf, block), "block %llu has changed",
				      (unsigned long long)block);
		else
			unit_expect_error(rc, EIO, "cut short before page ");
		lost += rc != 0;
	}
	return lost;
}

START_TEST(test_new_blocks_do_not_make_it_longer)
{
	unsigned int lost, failed = 0;
	struct kmemblk *h;
	uint8_t buf[PAGE];

	if (!unit_faults_work())
		return;
	/* Sparse: pages get storage when they are written to. */
	h = unit_make(8 * MIB);
	for (uint64_t block = 0; block < WRITTEN; block++)
		unit_write(h, block, block);
	ck_assert_int_eq(truncate(unit_device, LEFT), 0);
	lost = lost_of(h, WRITTEN);
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_lt(lost, WRITTEN);
	for (uint64_t block = WRITTEN; block < WRITTEN + 600; block++) {
		unit_fill(buf, block);
		if (kmemblk_write(disk_of(h), buf, PAGE, block * PAGE) != 0)
			failed++;
		else
			unit_expect(h, block, block);
	}
	ck_assert_uint_gt(failed, 0);
	ck_assert_uint_eq(size(), LEFT);
	ck_assert_uint_eq(lost_of(h, WRITTEN), lost);
	kmemblk_close(h);
	ck_assert_uint_eq(size(), LEFT);
}
END_TEST

UNIT_MAIN("cut-short", test_new_blocks_do_not_make_it_longer)
