/* SPDX-License-Identifier: BSD-3-Clause */
/* reserve.c - pages are reserved for new blocks as long as that leaves the spare. */
#include "config.h"

#include <errno.h>

#include "bare.h"
#include "pages/reserve.h"

START_TEST(test_the_spare_is_not_reserved)
{
	bare_open(100, 10, 50);
	ck_assert_int_eq(bare_reserve(40), 0);
	reserve_end(&bare, 40, 40);
	unit_expect_error(bare_reserve(1), ENOSPC,
			  "no page is left for a new block: of 100, 90 are used, 10 spare: trim");
	/* All or none. */
	reserve_unmap_begin(&bare);
	reserve_unmap_end(&bare, 3);
	unit_expect_error(bare_reserve(4), ENOSPC, "no page is left");
	ck_assert_int_eq(bare_reserve(3), 0);
	bare_close();
}
END_TEST

START_TEST(test_a_refusal_counts_what_media_errors_took)
{
	uint64_t page[2];

	bare_open(100, 10, 50);
	bare_take(page, 2);
	pool_mark_bad(&bare, page[0]);
	pool_mark_bad(&bare, page[1]);
	pool_put(&bare, page, 2);
	unit_expect_error(bare_reserve(39), ENOSPC, "10 spare, 2 quarantined after media errors:");
	ck_assert_int_eq(bare_reserve(38), 0);
	reserve_end(&bare, 38, 38);
	bare_close();
}
END_TEST

START_TEST(test_cancelled_reservations_come_back)
{
	bare_open(100, 10, 50);
	ck_assert_int_eq(bare_reserve(40), 0);
	/* Others are under way: it may yet change. */
	ck_assert_int_eq(bare_reserve(1), -EAGAIN);
	reserve_end(&bare, 40, 15);
	ck_assert_int_eq(bare_reserve(25), 0);
	reserve_end(&bare, 25, 25);
	ck_assert_int_eq(bare_reserve(1), -ENOSPC);
	bare_close();
}
END_TEST

START_TEST(test_an_unmapping_under_way_delays_the_refusal)
{
	bare_open(100, 10, 90);
	ck_assert_int_eq(bare_reserve(1), -ENOSPC);
	reserve_unmap_begin(&bare);
	ck_assert_int_eq(bare_reserve(1), -EAGAIN);
	reserve_unmap_end(&bare, 1);
	ck_assert_int_eq(bare_reserve(1), 0);
	bare_close();
}
END_TEST

START_TEST(test_a_refusal_is_not_final_after_a_change)
{
	struct reservation before = { .what = "write" };

	bare_open(100, 10, 90);
	/* Between the look at the entries and the question somebody else is done: look again. */
	before.changes = reserve_changes(&bare);
	reserve_unmap_begin(&bare);
	reserve_unmap_end(&bare, 0);
	ck_assert_int_eq(reserve_blocks(&bare, 1, &before), -EAGAIN);
	ck_assert_int_eq(bare_reserve(1), -ENOSPC);
	bare_close();
}
END_TEST

UNIT_MAIN("reserve", test_the_spare_is_not_reserved, test_a_refusal_counts_what_media_errors_took,
	  test_cancelled_reservations_come_back, test_an_unmapping_under_way_delays_the_refusal,
	  test_a_refusal_is_not_final_after_a_change)
