/* SPDX-License-Identifier: BSD-3-Clause */
/* types.c - how each format type divides a device, and what division it accepts. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "map/super.h"
#include "unit.h"

static uint64_t planned; /* blocks */

static int plan_views(struct super *super, const char *type, uint64_t pages, uint64_t blocks,
		      uint64_t spare, uint64_t views)
{
	struct division division = { .blocks = blocks, .spare = spare, .views = views };
	int rc;

	*super = (struct super){ .type = type_by_name(type),
				 .device_pages = pages,
				 .directory_start = 1 };
	rc = super->type->plan(super, &division, "disk");
	planned = division.blocks;
	return rc;
}

static int plan(struct super *super, const char *type, uint64_t pages, uint64_t blocks,
		uint64_t spare)
{
	return plan_views(super, type, pages, blocks, spare, 0);
}

/* What a disk of so many blocks takes: a record, tables of up to five levels, blocks. */
static uint64_t disk_pages(uint64_t blocks)
{
	uint64_t pages = 1 + blocks;

	do {
		blocks = (blocks + 511) / 512;
		pages += blocks;
	} while (blocks > 1);
	return pages;
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
	uint64_t used, blocks;

	if (plan(&super, "blk", pages, 0, wanted_spare) != 0) {
		/* Superblocks, directory and copy, record, leaf, block, the spare. */
		ck_assert_uint_lt(pages, 7 + (wanted_spare == 0 ? 1 : wanted_spare));
		return;
	}
	blocks = planned;
	used = 4 + disk_pages(blocks) + super.spare_pages;
	ck_assert_uint_le(used, pages);
	ck_assert_uint_gt(4 + disk_pages(blocks + 1) + super.spare_pages, pages);
	ck_assert_uint_eq(super.directory_pages, 1);
	ck_assert(super.type->sound(&super));
	ck_assert_uint_eq(super_data_pages(&super), pages - 4);
	ck_assert_int_eq(plan(&super, "blk", pages, blocks + 1, super.spare_pages), -ENOSPC);
}

START_TEST(test_blk_uses_every_page)
{
	for (uint64_t pages = 0; pages < 3000; pages++)
		for (uint64_t spare = 0; spare < 12; spare += 3)
			plan_fits(pages, spare);
	for (uint64_t shift = 12; shift <= 39; shift++)
		for (int off = -2; off <= (shift == 39 ? 0 : 2); off++)
			plan_fits((1ull << shift) + (uint64_t)off, 0);
}
END_TEST

START_TEST(test_blk_default_spare)
{
	static const struct {
		uint64_t pages, spare;
	} cases[] = {
		{ 8, 1 },	   { 127, 1 },		{ 128, 2 },
		{ 64 * 100, 100 }, { 64 * 8192, 8192 }, { 1ull << 39, 8192 },
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
	ck_assert_uint_eq(planned, 513);
	ck_assert_uint_eq(super.spare_pages, 7);
}
END_TEST

START_TEST(test_blk_that_does_not_fit)
{
	struct super super;

	unit_expect_error(
		plan(&super, "blk", 7, 0, 0), ENOSPC,
		"format: disk: 7 pages of 4096 bytes are too few for two superblocks, two "
		"directories, a record, a table, a block and a spare of 1");
	unit_expect_error(plan(&super, "blk", 0, 0, 0), ENOSPC, "too few");
	/* 100 pages: two superblocks, two directories, a record, a leaf, a spare, 93 blocks. */
	unit_expect_error(plan(&super, "blk", 100, 94, 1), ENOSPC, "at most 93 do (--size=372K)");
	unit_expect_error(plan(&super, "blk", 100, ~0ull, 1), ENOSPC, "at most 93 do");
	unit_expect_error(plan(&super, "blk", 100, 1, 94), ENOSPC, "spare of 94");
	ck_assert_int_eq(plan(&super, "blk", 100, 1, 93), 0);
	unit_expect_error(plan(&super, "blk", 100, 0, ~0ull), ENOSPC, "spare");
}
END_TEST

START_TEST(test_views)
{
	static const struct {
		uint64_t views, pages;
	} cases[] = {
		{ 0, 1 },   { 1, 1 },	 { 511, 1 },	 { 512, 1 },
		{ 513, 2 }, { 1024, 2 }, { 65535, 128 }, { 65536, 128 },
	};
	struct super super;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t taken = 2 + 2 * cases[i].pages + 7;

		ck_assert_int_eq(plan_views(&super, "blk", 4096, 0, 7, cases[i].views), 0);
		ck_assert_uint_eq(super.directory_pages, cases[i].pages);
		ck_assert(super.type->sound(&super));
		ck_assert_uint_eq(super_data_start(&super), 1 + 2 * cases[i].pages);
		ck_assert_uint_le(taken + disk_pages(planned), 4096);
		ck_assert_uint_gt(taken + disk_pages(planned + 1), 4096);
	}
	unit_expect_error(plan_views(&super, "blk", 4096, 0, 7, 65537), EINVAL,
			  "format: disk: --views=65537: there can be at most 65536");
	unit_expect_error(plan_views(&super, "blk", 4096, 0, 7, ~0ull), EINVAL, "at most 65536");
	/* An eighth, and a page each in any case. */
	ck_assert_int_eq(plan_views(&super, "blk", 2048, 0, 7, 65536), 0);
	unit_expect_error(
		plan_views(&super, "blk", 2047, 0, 7, 65536), ENOSPC,
		"format: disk: --views=65536: two directories of 128 pages are more than an eighth of "
		"the device, which has 2047; at most 65024 views do");
	unit_expect_error(plan_views(&super, "blk", 31, 0, 1, 513), ENOSPC, "at most 512 views do");
	ck_assert_int_eq(plan_views(&super, "blk", 32, 0, 1, 1024), 0);
	ck_assert_int_eq(plan_views(&super, "blk", 8, 0, 1, 512), 0);
	unit_expect_error(plan_views(&super, "none", 100, 0, 0, 1), EINVAL, "give no views");
}
END_TEST

START_TEST(test_none)
{
	struct super super;

	ck_assert_int_eq(plan(&super, "none", 3, 0, 0), 0);
	ck_assert_uint_eq(planned + super.directory_pages + super.spare_pages, 0);
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
					   128,	       129,	   511,	       512,
					   513,	       985,	   986,	       1000,
					   1ull << 32, 1ull << 40, 1ull << 52, 1ull << 63,
					   ~0ull >> 9, ~0ull - 1,  ~0ull };
	const size_t n = sizeof(values) / sizeof(values[0]);
	struct super good, super;

	ck_assert_int_eq(plan(&good, "blk", 1000, 0, 5), 0);
	for (size_t i = 0; i < n; i++) {
		super = good;
		super.directory_pages = values[i];
		ck_assert(super.type->sound(&super) == (values[i] >= 1 && values[i] <= 128));
		super = good;
		super.spare_pages = values[i];
		ck_assert(super.type->sound(&super) == (values[i] >= 1 && values[i] <= 993));
		super = good;
		super.device_pages = values[i];
		/* Four, a record, a leaf, a block and the spare. */
		ck_assert(super.type->sound(&super) == (values[i] >= 12));
		super = good;
		super.type = type_by_name("none");
		super.directory_pages = values[i];
		ck_assert(!super.type->sound(&super));
	}
	ck_assert(good.type->sound(&good));
	/* Sums that wrap around. */
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			super = good;
			super.spare_pages = values[i];
			super.directory_pages = values[j];
			ck_assert(!super.type->sound(&super) ||
				  (values[j] >= 1 && values[j] <= 128 &&
				   values[i] <= 1000 - 2 - 2 * values[j] - 3));
		}
}
END_TEST

UNIT_MAIN("types", test_types_are_found, test_blk_uses_every_page, test_blk_default_spare,
	  test_blk_smaller_disk, test_blk_that_does_not_fit, test_views, test_none,
	  test_sound_refuses_every_other_division)
