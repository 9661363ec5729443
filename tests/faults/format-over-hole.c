/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * format-over-hole.c - formatting a device whose old copy of the superblock is a hole: it gets storage
 * before it is destroyed; and where there is none, that is said, and the old device is as before.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "own-shm.h"
#include "unit.h"

static int format_again(void)
{
	struct kmemblk_format_options force = { .flags = KMEMBLK_FORMAT_FORCE };

	return kmemblk_format(unit_device, &force);
}

START_TEST(test_format_over_a_hole)
{
	struct kmemblk_info info;
	struct kmemblk *h = unit_make(4 * MIB);

	for (uint64_t block = 0; block < 100; block++)
		unit_write(h, block, block);
	kmemblk_close(h);
	/* It has grown since, and room is for the new copy only. */
	ck_assert_int_eq(truncate(unit_device, 8 * MIB), 0);
	ck_assert(own_shm_punch(unit_device, 1023));
	ck_assert(own_shm_give_back(1));
	unit_expect_error(format_again(), ENOSPC, "storage: No space left on device");
	h = unit_open(0);
	for (uint64_t block = 0; block < 100; block++)
		unit_expect(h, block, block);
	kmemblk_close(h);

	ck_assert(own_shm_give_back(1));
	ck_assert_msg(format_again() == 0, "%s", kmemblk_error());
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_uint_eq(info.device_pages, 2048);
	unit_expect_clean();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { test_format_over_a_hole };

	return own_shm(16 * MIB) ? unit_run("format-over-hole", tests, 1) : 77;
}
