/* SPDX-License-Identifier: BSD-3-Clause */
/* index.c - the scan at open finds every entry, sound or not; leaves without storage stay so. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "media/guard.h"
#include "map/index.h"
#include "unit.h"

static struct device device;
static struct super super;
static struct index idx;

/* A file for so many blocks, with nothing in it but what the test puts there. */
static void make(uint64_t blocks)
{
	ck_assert_int_eq(guard_install(), 0);
	super = (struct super){ .type = type_by_id(1), .index_start = 1, .blocks = blocks };
	super.index_pages = (blocks + 511) / 512;
	super.spare_pages = 1;
	super.device_pages = 2 + super.index_pages + blocks + super.spare_pages;
	unit_make_file(unit_device, super.device_pages * PAGE);
}

static void scan(struct index_scan *how)
{
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&device), 0);
	ck_assert_msg(index_open(&idx, &device, &super, how) == 0, "%s", kmemblk_error());
}

static void end(void)
{
	index_close(&idx);
	device_close(&device);
}

/* The n-th data page. */
static uint64_t data(uint64_t n)
{
	return 1 + super.index_pages + n;
}

START_TEST(test_empty_index_takes_no_storage)
{
	make(100000);
	scan(&(struct index_scan){ 0 });
	ck_assert_uint_eq(idx.used + idx.wild + idx.twice + idx.unreadable, 0);
	for (uint64_t leaf = 0; leaf < idx.leaves; leaf++)
		ck_assert(index_leaf_empty(&idx, leaf) && !idx.present[leaf]);
	ck_assert_uint_eq(index_load(&idx, 77777), 0);
	ck_assert_uint_eq(unit_storage(unit_device), 0);
	end();
}
END_TEST

START_TEST(test_sparse_leaves)
{
	make(5 * 512 + 3);
	unit_poke_page(512, data(9));
	unit_poke_page(1023, data(10));
	unit_poke_page(5 * 512 + 2, data(super.blocks));
	scan(&(struct index_scan){ 0 });
	ck_assert_uint_eq(idx.used, 3);
	for (uint64_t leaf = 0; leaf < 6; leaf++) {
		ck_assert_uint_eq(idx.present[leaf], leaf == 1 || leaf == 5);
		ck_assert_uint_eq(idx.count[leaf], leaf == 1 ? 2 : leaf == 5 ? 1 : 0);
	}
	ck_assert_uint_eq(index_load(&idx, 512), data(9));
	ck_assert_uint_eq(index_load(&idx, 513), 0);
	ck_assert_uint_eq(index_load(&idx, 5 * 512 + 2), data(super.blocks));
	ck_assert_uint_eq(unit_storage(unit_device), 2 * PAGE);
	end();
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------- */

struct told {
	unsigned int count;
	enum index_damage damage[16];
	uint64_t block[16], page[16];
};

static void tell(void *opaque, enum index_damage damage, uint64_t block, uint64_t page)
{
	struct told *told = opaque;

	ck_assert_uint_lt(told->count, 16);
	told->damage[told->count] = damage;
	told->block[told->count] = block;
	told->page[told->count++] = page;
}

START_TEST(test_wild_entries)
{
	static const struct {
		uint64_t block;
		uint64_t entry;
		enum index_damage damage;
	} wild[] = {
		{ 0, 0x8000000000000001, INDEX_WILD },	   /* the index itself */
		{ 100, 0x8000000000000002, INDEX_WILD },   /* its last page */
		{ 200, 1004, INDEX_TURNED },		   /* the superblock's copy */
		{ 201, 0x80000000000003ec, INDEX_WILD },   /* the same, whole */
		{ 300, 0x80000000000003ed, INDEX_TURNED }, /* past the device */
		{ 301, 1005, INDEX_WILD },
		{ 511, ~0ull, INDEX_TURNED },		   /* all bits */
		{ 512, 1ull << 39 | 1, INDEX_TURNED },	   /* a check value, where there are none */
		{ 999, 0x8000000000000014, INDEX_TURNED }, /* one bit too many */
	};
	const unsigned int n = sizeof(wild) / sizeof(wild[0]);
	struct told told = { 0 };

	make(1000);
	ck_assert_uint_eq(super.device_pages, 1005);
	for (unsigned int i = 0; i < n; i++)
		unit_poke_entry(wild[i].block, wild[i].entry);
	unit_poke_page(1, data(0));
	unit_poke_page(2, 1003); /* the last data page */
	scan(&(struct index_scan){ .damaged = tell, .damaged_opaque = &told });
	ck_assert_uint_eq(idx.wild, n);
	ck_assert_uint_eq(idx.used, 2);
	ck_assert_uint_eq(told.count, n);
	for (unsigned int i = 0; i < n; i++) {
		ck_assert_msg(told.damage[i] == wild[i].damage, "%u", i);
		ck_assert_uint_eq(told.block[i], wild[i].block);
		ck_assert(index_load(&idx, wild[i].block) == INDEX_BAD_PAGE);
	}
	ck_assert_uint_eq(index_load(&idx, 1), 3);
	ck_assert_uint_eq(index_load(&idx, 2), 1003);
	end();
}
END_TEST

START_TEST(test_each_bit_that_turns_is_found)
{
	const uint64_t whole = unit_entry(700);

	make(1000);
	unit_poke_entry(5, whole);
	scan(&(struct index_scan){ 0 });
	ck_assert_uint_eq(idx.used, 1);
	for (unsigned int kind = 0; kind < 2; kind++) {
		idx.checks = kind == 1;
		for (unsigned int bit = 0; bit < 64; bit++)
			ck_assert(index_page_of(&idx, htole64(whole ^ 1ull << bit)) ==
				  INDEX_BAD_PAGE);
	}
	end();
}
END_TEST

START_TEST(test_pages_named_twice)
{
	struct told told = { 0 };
	struct index_scan how = { .damaged = tell, .damaged_opaque = &told };

	make(2000);
	how.named = bitmap_new(super_data_pages(&super));
	how.twice = bitmap_new(super_data_pages(&super));
	unit_poke_page(3, data(50));
	unit_poke_page(700, data(50));
	unit_poke_page(1999, data(50));
	unit_poke_page(800, data(51));
	scan(&how);
	/* One page, two entries too many. */
	ck_assert_uint_eq(idx.twice, 1);
	ck_assert_uint_eq(idx.used, 4);
	ck_assert_uint_eq(told.count, 2);
	ck_assert_int_eq(told.damage[0], INDEX_SHARED);
	ck_assert_uint_eq(told.page[0], data(50));
	ck_assert(bitmap_test(how.named, 50) && bitmap_test(how.named, 51));
	ck_assert(!bitmap_test(how.named, 52));
	ck_assert(bitmap_test(how.twice, 50) && !bitmap_test(how.twice, 51));
	end();
	free((void *)how.named);
	free((void *)how.twice);
}
END_TEST

START_TEST(test_unreadable_leaf)
{
	if (!unit_faults_work())
		return;
	make(2000);
	for (uint64_t block = 0; block < 2000; block++)
		unit_poke_page(block, data(block));
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&device), 0);
	/* The last leaf is past the end, as on a device without holes that lost it. */
	device.holes = false;
	ck_assert_int_eq(truncate(unit_device, 4 * PAGE), 0);
	ck_assert_int_eq(index_open(&idx, &device, &super, &(struct index_scan){ 0 }), 0);
	ck_assert_uint_eq(idx.unreadable, 2000 - 3 * 512);
	ck_assert_uint_eq(idx.used, 3 * 512);
	/* Not taken for empty. */
	ck_assert(!index_leaf_empty(&idx, 3));
	end();
}
END_TEST

/* ---- in parallel ----------------------------------------------------------------------------- */

static uint64_t last_done, last_total;

static void note_progress(void *opaque, uint64_t done, uint64_t total)
{
	(void)opaque;
	ck_assert_uint_le(done, total);
	last_done = done;
	last_total = total;
}

START_TEST(test_many_leaves_in_parallel)
{
	/* Leaves enough for several threads; every seventh holds three entries, each names a page. */
	const uint64_t leaves = 17000;
	struct index_scan how = { .progress = note_progress };
	uint64_t put = 0;
	int fd;

	make(leaves * 512);
	how.named = bitmap_new(super_data_pages(&super));
	how.twice = bitmap_new(super_data_pages(&super));
	fd = open(unit_device, O_WRONLY | O_CLOEXEC);
	for (uint64_t leaf = 0; leaf < leaves; leaf += 7)
		for (uint64_t i = 0; i < 3; i++) {
			uint64_t entry = htole64(unit_entry(data(put++ * 1000 % (leaves * 512))));

			ck_assert(pwrite(fd, &entry, 8, (off_t)((1 + leaf) * PAGE + i * 800)) == 8);
		}
	close(fd);
	scan(&how);
	ck_assert_uint_eq(idx.used, put);
	ck_assert_uint_eq(idx.wild + idx.unreadable + idx.twice, 0);
	for (uint64_t leaf = 0; leaf < leaves; leaf++)
		ck_assert_uint_eq(idx.count[leaf], leaf % 7 == 0 ? 3 : 0);
	for (uint64_t i = 0; i < put; i++)
		ck_assert(bitmap_test(how.named, i * 1000 % (leaves * 512)));
	ck_assert_uint_eq(last_done, leaves);
	ck_assert_uint_eq(last_total, leaves);
	end();
	free((void *)how.named);
	free((void *)how.twice);
}
END_TEST

/* ---- services -------------------------------------------------------------------------------- */

START_TEST(test_persist_of_unreadable)
{
	if (!unit_faults_work())
		return;
	make(2000);
	unit_poke_page(0, data(0));
	unit_poke_page(1600, data(1));
	scan(&(struct index_scan){ 0 });
	ck_assert_int_eq(index_persist_guarded(&idx, 0, 4, PM_WRITE_ENTRY), 0);
	ck_assert_int_eq(truncate(unit_device, 2 * PAGE), 0);
	ck_assert_int_eq(index_persist_guarded(&idx, 0, 4, PM_WRITE_ENTRY), 0);
	ck_assert_int_eq(index_persist_guarded(&idx, 1600, 4, PM_WRITE_ENTRY), -EIO);
	end();
}
END_TEST

START_TEST(test_allocate_leaf)
{
	make(2000);
	scan(&(struct index_scan){ 0 });
	ck_assert_int_eq(index_allocate_leaf(&idx, 600), 0);
	ck_assert_uint_eq(unit_storage(unit_device), PAGE);
	ck_assert(idx.present[1] && !idx.present[0]);
	ck_assert_int_eq(index_allocate_leaf(&idx, 1023), 0);
	ck_assert_uint_eq(unit_storage(unit_device), PAGE);
	end();
}
END_TEST

START_TEST(test_type_none_has_no_index)
{
	make(0);
	super.type = type_by_id(0);
	scan(&(struct index_scan){ .progress = note_progress });
	ck_assert_uint_eq(idx.used + idx.leaves + idx.blocks, 0);
	ck_assert_uint_eq(last_done, last_total);
	end();
}
END_TEST

UNIT_MAIN("index", test_empty_index_takes_no_storage, test_sparse_leaves, test_wild_entries,
	  test_each_bit_that_turns_is_found, test_pages_named_twice, test_unreadable_leaf,
	  test_many_leaves_in_parallel, test_persist_of_unreadable, test_allocate_leaf,
	  test_type_none_has_no_index)
