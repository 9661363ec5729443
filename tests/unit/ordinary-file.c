/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ordinary-file.c - a device in a file of a file system without dax: slow, and right.
 *
 * Works in the folder of the build, and is skipped if that is on tmpfs.
 */
#include "config.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"
#include "common/disk.h"

static unsigned int synced;   /* calls of msync() */
static long page_size = PAGE; /* the kernel's */

int __real_msync(void *addr, size_t len, int flags);
int __wrap_msync(void *addr, size_t len, int flags);

int __wrap_msync(void *addr, size_t len, int flags)
{
	ck_assert_int_eq(flags, MS_SYNC);
	ck_assert_uint_eq((uintptr_t)addr % (uintptr_t)page_size, 0);
	synced++;
	return __real_msync(addr, len, flags);
}

START_TEST(test_is_said_to_need_msync)
{
	struct kmemblk_info probed, info;
	const char *media = "";
	struct kmemblk *h;

	/* Also before it is made. */
	ck_assert_int_eq(kmemblk_find_media(unit_device, 0, &media), 0);
	ck_assert_str_eq(media, "file");
	unit_format(4 * MIB, 0);
	ck_assert_int_eq(kmemblk_probe(unit_device, &probed), 0);
	ck_assert_str_eq(probed.media, "file");
	/* However it is opened.  What it survives depends on the machine. */
	for (unsigned int flags = 0; flags < 2; flags++) {
		h = unit_open(flags);
		kmemblk_get_info(h, &info);
		ck_assert_str_eq(info.media, "file");
		ck_assert_str_eq(info.persistence, probed.persistence);
		kmemblk_close(h);
	}
}
END_TEST

/* Write, and see that it was synced: contents, then entries. */
START_TEST(test_each_write_is_synced)
{
	struct kmemblk *h;
	uint8_t page[PAGE] = { 1 };

	h = unit_make(4 * MIB);
	unit_write(h, 0, 0);
	synced = 0;
	unit_write(h, 0, 1);
	ck_assert_uint_eq(synced, 2);
	ck_assert_int_eq(kmemblk_write(disk_of(h), page, 10, 5), 0);
	ck_assert_uint_eq(synced, 4);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), PAGE, 0), 0);
	ck_assert_uint_eq(synced, 5);
	kmemblk_close(h);
}
END_TEST

long __real_sysconf(int name);
long __wrap_sysconf(int name);

long __wrap_sysconf(int name)
{
	return name == _SC_PAGESIZE ? page_size : __real_sysconf(name);
}

/* msync() takes only addresses that are multiples of it, as the replaced one here asserts. */
START_TEST(test_kernel_with_larger_pages)
{
	struct kmemblk *h;

	page_size = 65536;
	h = unit_make(4 * MIB);
	synced = 0;
	for (uint64_t block = 0; block < 40; block++)
		unit_write(h, block, block);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), PAGE, 0), 0);
	ck_assert_uint_ge(synced, 81);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_blocks_come_back)
{
	struct kmemblk *h = unit_make(4 * MIB);

	for (uint64_t block = 0; block < 300; block++)
		unit_write(h, block, block);
	for (uint64_t block = 0; block < 300; block += 3)
		unit_write(h, block, block + 1000);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 10 * PAGE, 0), 0);
	unit_close_clean(h);
	h = unit_open(0);
	for (uint64_t block = 0; block < 300; block++)
		if (block < 10)
			unit_expect_zero(h, block);
		else
			unit_expect(h, block, block % 3 == 0 ? block + 1000 : block);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_prealloc_force_and_repair)
{
	struct kmemblk_check_result result;

	unit_format(4 * MIB, KMEMBLK_FORMAT_PREALLOC);
	unit_expect_clean();
	ck_assert_int_eq(
		kmemblk_format(unit_device,
			       &(struct kmemblk_format_options){ .flags = KMEMBLK_FORMAT_FORCE }),
		0);
	unit_expect_clean();
	unit_poke_number(0, 8, 0);
	unit_check(KMEMBLK_CHECK_REPAIR, &result);
	ck_assert_uint_eq(result.corrected, 1);
	unit_expect_clean();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { test_is_said_to_need_msync, test_each_write_is_synced,
				       test_kernel_with_larger_pages, test_blocks_come_back,
				       test_prealloc_force_and_repair };
	struct statfs fs;

	if (statfs(".", &fs) == -1 || fs.f_type == TMPFS_MAGIC) {
		fprintf(stderr, "ordinary-file: skipped: the build is on tmpfs\n");
		return 77;
	}
	return unit_run_in(".", "ordinary-file", tests, sizeof(tests) / sizeof(tests[0]));
}
