/* SPDX-License-Identifier: BSD-3-Clause */
/* types.c - how each format type divides a device, and what division it accepts. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "map/super.h"
#include "unit.h"

static int plan(struct super *super, const char *type, uint64_t pages, uint64_t blocks,
		uint64_t spare)
{
	*super = (struct super){ .type = type_by_name(type),
				 .device_pages = pages,
				 .index_start = 1 };
	return super->type->plan(super, blocks, spare, "disk");
}

START_TEST(test_types_are_found)
{
	ck_assert_str_eq(type_by_id(0)->name, "none");
	ck_assert_str_eq(type_by_id(1)->name, "blk");
	ck_assert(type_by_id(2) == NULL);
	ck_assert(type_by_id(~0u) == NULL);
	ck_assert_uint_eq(type_by_name("blk")->id, 1);
	ck_assert(type_by_name("") == NULL);
	ck_assert(type_by_name("BLK") == NULL);
	ck_assert_str_eq(type_names(), "blk, none");
}
END_TEST

/* What is planned fits, is accepted, and one block more would not fit. */
static void plan_fits(uint64_t pages, uint64_t wanted_spare)
{
	struct super super;
	uint64_t used;

	if (plan(&super, "blk", pages, 0, wanted_spare) != 0) {
		/* Superblocks, one leaf, one block, the spare. */
		ck_assert_uint_lt(pages, 4 + (wanted_spare == 0 ? 1 : wanted_spare));
		return;
	}
	used = 2 + super.index_pages + super.blocks + super.spare_pages;
	ck_assert_uint_eq(super.index_pages, (super.blocks + 511) / 512);
	ck_assert_uint_le(used, pages);
	/* Left over at most what the next leaf would have taken. */
	ck_assert(used == pages || (used + 1 == pages && super.blocks % 512 == 0));
	ck_assert(super.type->sound(&super));
	ck_assert_uint_eq(super_data_pages(&super), pages - 2 - super.index_pages);
	ck_assert_int_eq(plan(&super, "blk", pages, super.blocks + 1, super.spare_pages), -ENOSPC);
}

START_TEST(test_blk_uses_every_page)
{
	for (uint64_t pages = 0; pages < 3000; pages++)
		for (uint64_t spare = 0; spare < 12; spare += 3)
			plan_fits(pages, spare);
	for (uint64_t shift = 12; shift <= 40; shift++)
		for (int off = -2; off <= (shift == 40 ? 0 : 2); off++)
			plan_fits((1ull << shift) + (uint64_t)off, 0);
}
END_TEST

START_TEST(test_blk_default_spare)
{
	static const struct {
		uint64_t pages, spare;
	} cases[] = {
		{ 5, 1 },	   { 127, 1 },		{ 128, 2 },
		{ 64 * 100, 100 }, { 64 * 8192, 8192 }, { 1ull << 40, 8192 },
	};
	struct super super;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_int_eq(plan(&super, "blk", cases[i].pages, 0, 0), 0);
		ck_assert_uint_eq(super.spare_pages, cases[i].spare);
	}
}
END_TEST

START_TEST(test_blk_smaller_disk)
{
	struct super super;

	ck_assert_int_eq(plan(&super, "blk", 1000, 513, 7), 0);
	ck_assert_uint_eq(super.blocks, 513);
	ck_assert_uint_eq(super.index_pages, 2);
	ck_assert_uint_eq(super.spare_pages, 7);
}
END_TEST

START_TEST(test_blk_that_does_not_fit)
{
	struct super super;

	unit_expect_error(plan(&super, "blk", 4, 0, 0), ENOSPC,
			  "format: disk: 4 pages of 4096 bytes are too few for two "
			  "superblocks, an index, a block and a spare of 1");
	unit_expect_error(plan(&super, "blk", 0, 0, 0), ENOSPC, "too few");
	/* 100 pages: two superblocks, one leaf, one spare, 96 blocks. */
	unit_expect_error(plan(&super, "blk", 100, 97, 1), ENOSPC, "at most 96 do (--size=384K)");
	unit_expect_error(plan(&super, "blk", 100, ~0ull, 1), ENOSPC, "at most 96 do");
	unit_expect_error(plan(&super, "blk", 100, 1, 97), ENOSPC, "spare of 97");
	ck_assert_int_eq(plan(&super, "blk", 100, 1, 96), 0);
	unit_expect_error(plan(&super, "blk", 100, 0, ~0ull), ENOSPC, "spare");
}
END_TEST

START_TEST(test_none)
{
	struct super super;

	ck_assert_int_eq(plan(&super, "none", 3, 0, 0), 0);
	ck_assert_uint_eq(super.blocks + super.index_pages + super.spare_pages, 0);
	ck_assert(super.type->sound(&super));
	ck_assert_uint_eq(super_data_pages(&super), 1);
	unit_expect_error(plan(&super, "none", 2, 0, 0), ENOSPC, "too small");
	unit_expect_error(plan(&super, "none", 100, 1, 0), EINVAL, "no size");
	unit_expect_error(plan(&super, "none", 100, 0, 1), EINVAL, "no spare");
}
END_TEST

START_TEST(test_sound_refuses_every_other_division)
{
	static const uint64_t values[] = { 0,	       1,	   2,	       3,
					   511,	       512,	   513,	       1000,
					   1ull << 32, 1ull << 40, 1ull << 52, 1ull << 63,
					   ~0ull >> 9, ~0ull - 1,  ~0ull };
	const size_t n = sizeof(values) / sizeof(values[0]);
	struct super good, super;

	ck_assert_int_eq(plan(&good, "blk", 1000, 0, 5), 0);
	for (size_t i = 0; i < n; i++) {
		super = good;
		super.index_pages = values[i];
		ck_assert(super.type->sound(&super) == (values[i] == 2));
		super = good;
		super.blocks = values[i];
		ck_assert(super.type->sound(&super) == (values[i] == 513));
		super = good;
		super.spare_pages = values[i];
		ck_assert(super.type->sound(&super) == (values[i] >= 1 && values[i] <= 3));
		super = good;
		super.device_pages = values[i];
		ck_assert(super.type->sound(&super) == (values[i] >= 1000));
		super = good;
		super.type = type_by_name("none");
		super.blocks = values[i];
		ck_assert(!super.type->sound(&super));
	}
	ck_assert(good.type->sound(&good));
	/* Sums that wrap around. */
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			super = good;
			super.spare_pages = values[i];
			super.blocks = values[j];
			super.index_pages = values[j] / 512 + (values[j] % 512 != 0);
			ck_assert(!super.type->sound(&super) ||
				  (values[i] < 1000 && values[j] < 1000));
		}
}
END_TEST

UNIT_MAIN("types", test_types_are_found, test_blk_uses_every_page, test_blk_default_spare,
	  test_blk_smaller_disk, test_blk_that_does_not_fit, test_none,
	  test_sound_refuses_every_other_division)
