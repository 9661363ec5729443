/* SPDX-License-Identifier: BSD-3-Clause */
/* memory-calls.c - what the calls about memory refuse, what they give, and that nothing changes otherwise. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"
#include "common/disk.h"

#define SIZE (16 * MIB)

START_TEST(test_options_are_checked)
{
	struct kmemblk_memory_options good = { .watermark = KMEMBLK_DEFAULT,
					       .headroom = KMEMBLK_DEFAULT };
	struct kmemblk_memory_options bad = good;
	struct kmemblk *h;

	unit_format(SIZE, 0);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	bad.watermark = SIZE + 1;
	unit_expect_error(kmemblk_set_memory(h, &bad), EINVAL,
			  "watermark and headroom are at most");
	bad.watermark = 0;
	bad.headroom = KMEMBLK_DEFAULT - 1;
	unit_expect_error(kmemblk_set_memory(h, &bad), EINVAL,
			  "watermark and headroom are at most");
	bad = good;
	bad.punch = (enum kmemblk_punch)7;
	unit_expect_error(kmemblk_set_memory(h, &bad), EINVAL, "unknown kind of punching 7");
	good.watermark = 4097;
	ck_assert_int_eq(kmemblk_set_memory(h, &good), 0);
	ck_assert_uint_eq(h->pool.keeper.watermark, 2);
	ck_assert_int_eq(kmemblk_start(h), 0);
	unit_expect_error(kmemblk_set_memory(h, &good), EINVAL, "started already");
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_error(kmemblk_set_memory(h, &good), EROFS, "opened read-only");
	kmemblk_close(h);
}
END_TEST

START_TEST(test_no_holes_no_punch)
{
	struct kmemblk_memory_options options = { .punch = KMEMBLK_PUNCH };
	struct kmemblk *h;

	unit_format(SIZE, 0);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	/* As devdax is. */
	h->device.holes = false;
	unit_expect_error(kmemblk_set_memory(h, &options), EOPNOTSUPP, "they can be lent");
	options.punch = KMEMBLK_PUNCH_AUTO;
	ck_assert_int_eq(kmemblk_set_memory(h, &options), 0);
	ck_assert(!h->pool.keeper.punch);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_borrow_checks)
{
	static const size_t lengths[] = { 0, 1, 4095, 4097, (2 << 20) + 4096, SIZE_MAX };
	static const size_t alignments[] = { 0, 1, 2048, 4097, 12288, 4 << 20, SIZE_MAX };
	struct kmemblk *h;
	void *memory = NULL;

	unit_format(SIZE, 0);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	unit_expect_error(kmemblk_borrow(h, PAGE, PAGE, &memory), EINVAL, "kmemblk_start()");
	ck_assert_int_eq(kmemblk_start(h), 0);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		unit_expect_error(kmemblk_borrow(h, lengths[i], PAGE, &memory), EINVAL,
				  "a multiple of 4096, at most 2097152");
	for (size_t i = 0; i < sizeof(alignments) / sizeof(alignments[0]); i++)
		unit_expect_error(kmemblk_borrow(h, PAGE, alignments[i], &memory), EINVAL,
				  "a power of 2 from 4096 to 2097152");
	ck_assert_ptr_null(memory);
	ck_assert_uint_eq(unit_info(h).pages_lent, 0);
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_error(kmemblk_borrow(h, PAGE, PAGE, &memory), EROFS, "opened read-only");
	kmemblk_close(h);
}
END_TEST

START_TEST(test_aligned_zeroed_and_nobody_elses)
{
	struct kmemblk *h;
	unsigned int borrowed = 0;

	unit_format(SIZE, 0);
	h = unit_open_memory(&(struct kmemblk_memory_options){ .watermark = SIZE / 2 });
	/* Pages that have held blocks, so that there is something to see. */
	for (uint64_t b = 0; b < 3000; b++)
		unit_write(h, b, b);
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 2900 * PAGE, 0), 0);
	/* Until their grace period is over they are nobody's. */
	AWAIT(unit_info(h).pages_retired == 0);
	for (size_t length = PAGE; length <= 2 * MIB; length *= 2)
		for (size_t align = PAGE; align <= 2 * MIB; align *= 8) {
			uint8_t *memory;

			if (kmemblk_borrow(h, length, align, (void **)&memory) != 0)
				continue;
			borrowed++;
			ck_assert_uint_eq((uintptr_t)memory % align, 0);
			ck_assert(unit_is_zero(memory, length));
			memset(memory, 0x55, length);
			ck_assert_int_eq(kmemblk_return(h, memory, length), 0);
		}
	ck_assert_uint_ge(borrowed, 30);
	for (uint64_t b = 2900; b < 3000; b++)
		unit_expect(h, b, b);
	ck_assert_uint_eq(unit_info(h).pages_lent, 0);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_spare_and_reserve_are_not_lent)
{
	struct kmemblk *h;
	struct kmemblk_info info;
	uint64_t lent = 0;
	uint8_t block[PAGE] = { 1 };
	void *memory;

	unit_format(SIZE, 0);
	h = unit_open_memory(&(struct kmemblk_memory_options){ .watermark = KMEMBLK_DEFAULT,
							       .headroom = 100 * PAGE });
	unit_write(h, 0, 7);
	while (kmemblk_borrow(h, PAGE, PAGE, &memory) == 0) {
		memset(memory, 0x66, PAGE);
		lent++;
	}
	unit_expect_error(kmemblk_borrow(h, PAGE, PAGE, &memory), ENOMEM,
			  "above spare and headroom");
	info = unit_info(h);
	ck_assert_uint_eq(info.pages_lent, lent);
	ck_assert_uint_eq(lent, info.data_pages - info.pages_spare - info.pages_for_tables - 100 -
					1 - info.pages_tables);
	/* The headroom is for new blocks, the spare for overwriting; nobody is there to be asked. */
	for (uint64_t b = 1; b <= 100; b++)
		unit_write(h, b, b);
	unit_expect_error(kmemblk_write(disk_of(h), block, PAGE, 101 * PAGE), ENOSPC,
			  " lent as memory:");
	for (uint64_t round = 0; round < 20; round++)
		for (uint64_t b = 0; b <= 100; b++)
			unit_write(h, b, b + round);
	for (uint64_t b = 0; b <= 100; b++)
		unit_expect(h, b, b + 19);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_return_in_parts_and_together)
{
	struct kmemblk *h;
	uint8_t *a;

	h = unit_make(SIZE);
	ck_assert_int_eq(kmemblk_borrow(h, 16 * PAGE, 16 * PAGE, (void **)&a), 0);
	ck_assert_int_eq(kmemblk_return(h, a + 4 * PAGE, PAGE), 0);
	ck_assert_uint_eq(unit_info(h).pages_lent, 15);
	/* One page of the range is not lent: nothing is given back. */
	unit_expect_error(kmemblk_return(h, a, 16 * PAGE), EINVAL, "are not all lent pages");
	unit_expect_error(kmemblk_return(h, a + 4 * PAGE, PAGE), EINVAL, "are not all lent pages");
	unit_expect_error(kmemblk_return(h, a + 1, PAGE), EINVAL, "are not all lent pages");
	unit_expect_error(kmemblk_return(h, a, PAGE - 1), EINVAL, "are not all lent pages");
	ck_assert_uint_eq(unit_info(h).pages_lent, 15);
	ck_assert_uint_eq(unit_info(h).pages_returned, 1);
	ck_assert_int_eq(kmemblk_return(h, a, 4 * PAGE), 0);
	ck_assert_int_eq(kmemblk_return(h, a + 5 * PAGE, 11 * PAGE), 0);
	ck_assert_uint_eq(unit_info(h).pages_lent, 0);
	ck_assert_uint_eq(unit_info(h).pages_returned, 16);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_return_of_what_is_not_the_disks)
{
	struct kmemblk *h;
	uint8_t *lent, *base, local[PAGE];

	h = unit_make(SIZE);
	ck_assert_int_eq(kmemblk_borrow(h, PAGE, PAGE, (void **)&lent), 0);
	base = h->device.pm.base;
	unit_expect_error(kmemblk_return(h, local, PAGE), EINVAL, "not all lent");
	unit_expect_error(kmemblk_return(h, NULL, PAGE), EINVAL, "not all lent");
	unit_expect_error(kmemblk_return(h, base, PAGE), EINVAL, "not all lent");
	unit_expect_error(kmemblk_return(h, base - PAGE, PAGE), EINVAL, "not all lent");
	unit_expect_error(kmemblk_return(h, base + SIZE, PAGE), EINVAL, "not all lent");
	unit_expect_error(kmemblk_return(h, lent, SIZE_MAX & ~(size_t)4095), EINVAL,
			  "not all lent");
	unit_expect_error(kmemblk_return(h, (void *)UINTPTR_MAX, PAGE), EINVAL, "not all lent");
	ck_assert_uint_eq(unit_info(h).pages_lent, 1);
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_error(kmemblk_return(h, h->device.pm.base, PAGE), EINVAL, "not all lent");
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("memory-calls", test_options_are_checked, test_no_holes_no_punch, test_borrow_checks,
	  test_aligned_zeroed_and_nobody_elses, test_spare_and_reserve_are_not_lent,
	  test_return_in_parts_and_together, test_return_of_what_is_not_the_disks)
