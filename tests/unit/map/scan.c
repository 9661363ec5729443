/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scan.c - the scan at open finds every entry of every map, sound or not, and a prepared map finds every leaf.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "map/directory.h"
#include "map/scan.h"
#include "media/guard.h"
#include "unit.h"

static struct device device;
static struct super super;
static struct scan scan;

#define RECORD 3u /* page: superblock, directory, copy, record */

/*
 * A device of so many pages with a volume of so many blocks, without check values, and nothing in it but what
 * the test puts there.
 */
static void make_with(uint64_t pages, uint64_t blocks, uint64_t directory_pages)
{
	uint64_t page = 1 + 2 * directory_pages;
	struct record record = { .blocks = blocks,
				 .height = record_height(blocks),
				 .family = 0x0123456789abcdef,
				 .name = "disk" };

	ck_assert_int_eq(guard_install(), 0);
	super = (struct super){ .type = type_by_id(1),
				.directory_start = 1,
				.directory_pages = directory_pages,
				.spare_pages = 1,
				.generation = 1,
				.device_pages = pages };
	unit_make_file(unit_device, pages * PAGE);
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&device), 0);
	ck_assert_int_eq(super_write(&device, 0, &super, PM_FORMAT_PRIMARY), 0);
	ck_assert_int_eq(record_write(&device, page, &record, 0, PM_RECORD, NULL), 0);
	ck_assert_int_eq(directory_set(&device, &super, 0, page), 0);
	device_close(&device);
}

static void make(uint64_t pages, uint64_t blocks)
{
	make_with(pages, blocks, 1);
}

static void scan_with(const struct scan *how)
{
	scan = *how;
	ck_assert_int_eq(device_open(&device, unit_device, true), 0);
	ck_assert_int_eq(device_map(&device), 0);
	ck_assert_msg(scan_open(&scan, &device, &super) == 0, "%s", kmemblk_error());
}

static void end(void)
{
	scan_free(&scan);
	device_close(&device);
}

/* ---- sound maps ----------------------------------------------------------------------------- */

START_TEST(test_empty_map_has_no_tables)
{
	make(100, 100000);
	scan_with(&(struct scan){ 0 });
	ck_assert(!scan_found_damage(&scan));
	ck_assert_uint_eq(scan.view_count, 1);
	ck_assert_uint_eq(scan.used, 0);
	ck_assert_uint_eq(scan.tables, 1); /* the record */
	ck_assert_uint_eq(scan.leaves, 0);
	ck_assert_int_eq(map_prepare(&scan.views[0].map), 0);
	ck_assert_uint_eq(map_load(&scan.views[0].map, 77777), 0);
	end();
}
END_TEST

START_TEST(test_height)
{
	static const struct {
		uint64_t blocks, tables;
		unsigned int height;
	} cases[] = {
		{ 1, 1, 1 },
		{ 512, 1, 1 },
		{ 513, 3, 2 },
		{ 1ull << 18, 513, 2 },
		{ (1ull << 18) + 1, 513 + 1 + 1 + 1, 3 },
		{ 1ull << 27, (1ull << 18) + (1ull << 9) + 1, 3 },
		{ (1ull << 36) + 1, (1ull << 27) + (1 << 18) + (1 << 9) + 1 + 5, 5 },
		{ 1ull << 39, (1ull << 30) + (1ull << 21) + (1 << 12) + 8 + 1, 5 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_uint_eq(record_height(cases[i].blocks), cases[i].height);
		ck_assert_msg(record_all_tables(cases[i].blocks) == cases[i].tables,
			      "case %zu: %llu", i,
			      (unsigned long long)record_all_tables(cases[i].blocks));
	}
}
END_TEST

/* Far apart, so that each way has tables of its own. */
static void find_far_apart(uint64_t blocks, const uint64_t *block, unsigned int n, uint64_t tables)
{
	struct map *map;

	make(100, blocks);
	for (unsigned int i = 0; i < n; i++)
		unit_poke_page(block[i], 10 + i);
	scan_with(&(struct scan){ 0 });
	ck_assert(!scan_found_damage(&scan));
	ck_assert_uint_eq(scan.used, n);
	ck_assert_uint_eq(scan.views[0].used, n);
	ck_assert_uint_eq(scan.tables, 1 + tables);
	map = &scan.views[0].map;
	ck_assert_int_eq(map_prepare(map), 0);
	for (unsigned int i = 0; i < n; i++) {
		ck_assert_uint_eq(map_load(map, block[i]), 10 + i);
		ck_assert_uint_eq(map_load(map, block[i] ^ 1), 0);
		ck_assert(bitmap_test(scan.named, 10 + i - RECORD));
	}
	ck_assert_uint_eq(map_load(map, blocks / 2), 0);
	map_put_away(map);
	end();
}

START_TEST(test_sparse_maps_of_each_height)
{
	static const uint64_t one[] = { 0, 511 }, two[] = { 0, 512, 262143 },
			      three[] = { 0, 512, 262144, 134217727 },
			      five[] = { 1, (1ull << 27) + 7, (1ull << 39) - 1 };

	find_far_apart(512, one, 2, 1);
	find_far_apart(1ull << 18, two, 3, 4);
	find_far_apart(1ull << 27, three, 4, 1 + 3 + 4);
	find_far_apart(1ull << 39, five, 3, 1 + 2 + 3 + 3 + 3);
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------- */

struct told {
	unsigned int count;
	enum map_damage damage[16];
	unsigned int level[16];
	uint64_t number[16], page[16];
};

static void tell(void *opaque, enum map_damage damage, const struct scan_view *view,
		 unsigned int level, uint64_t number, uint64_t page)
{
	struct told *told = opaque;

	ck_assert_str_eq(view->map.record.name, "disk");
	ck_assert_uint_lt(told->count, 16);
	told->damage[told->count] = damage;
	told->level[told->count] = level;
	told->number[told->count] = number;
	told->page[told->count++] = page;
}

static void expect_told(const struct told *told, enum map_damage damage, unsigned int level,
			uint64_t number, uint64_t page)
{
	for (unsigned int i = 0; i < told->count; i++)
		if (told->damage[i] == damage && told->level[i] == level &&
		    told->number[i] == number && told->page[i] == page)
			return;
	ck_abort_msg("damage %d of level %u, number %llu, page %llu was not told", damage, level,
		     (unsigned long long)number, (unsigned long long)page);
}

START_TEST(test_wild_entries)
{
	static const struct {
		uint64_t block;
		uint64_t entry;
		enum map_damage damage;
	} wild[] = {
		{ 0, 0x8000000000000001, DAMAGE_WILD },	    /* the directory */
		{ 100, 0x8000000000000002, DAMAGE_WILD },   /* its copy */
		{ 200, 0x3e7, DAMAGE_WILD },		    /* the superblock's copy */
		{ 201, 0x80000000000003e7, DAMAGE_TURNED }, /* the same, with a bit more */
		{ 300, 0x80000000000003ec, DAMAGE_WILD },   /* past the device */
		{ 511, ~0ull, DAMAGE_TURNED },		    /* all bits */
		{ 512, 1ull << 39 | 1, DAMAGE_TURNED }, /* a check value, where there are none */
		{ 999, 0x8000000000000014, DAMAGE_TURNED }, /* one bit too many */
	};
	const unsigned int n = sizeof(wild) / sizeof(wild[0]);
	struct told told = { 0 };

	make(1000, 1000);
	for (unsigned int i = 0; i < n; i++)
		unit_poke_entry(wild[i].block, wild[i].entry);
	unit_poke_page(1, 4);
	unit_poke_page(2, 5);
	scan_with(&(struct scan){ .damaged = tell, .damaged_opaque = &told });
	ck_assert_uint_eq(scan.wild, n);
	ck_assert_uint_eq(scan.used, 2);
	ck_assert_uint_eq(told.count, n);
	ck_assert(scan_found_damage(&scan));
	for (unsigned int i = 0; i < n; i++)
		expect_told(&told, wild[i].damage, 0, wild[i].block,
			    wild[i].entry & ((1ull << 39) - 1));
	ck_assert_int_eq(map_prepare(&scan.views[0].map), 0);
	for (unsigned int i = 0; i < n; i++)
		ck_assert(map_load(&scan.views[0].map, wild[i].block) == MAP_BAD_PAGE);
	ck_assert_uint_eq(map_load(&scan.views[0].map, 1), 4);
	end();
}
END_TEST

/* Each bit of the entries on the way to a block. */
START_TEST(test_each_turned_bit_is_seen)
{
	uint64_t block = (1ull << 18) + 513, at[3], whole[3];

	make(100, 1ull << 27);
	unit_poke_page(block, 10);
	at[0] = unit_find_entry(block);
	at[1] = unit_table(block, 2) * PAGE + 8 * (block >> 9 & 511);
	at[2] = unit_table(block, 3) * PAGE + 8 * (block >> 18);
	for (unsigned int i = 0; i < 3; i++) {
		whole[i] = unit_peek_number(at[i], 8);
		for (unsigned int bit = 0; bit < 64; bit++) {
			unit_poke_number(at[i], 8, whole[i] ^ 1ull << bit);
			scan_with(&(struct scan){ 0 });
			ck_assert_uint_eq(scan.wild, 1);
			ck_assert_int_eq(map_prepare(&scan.views[0].map), 0);
			ck_assert(map_load(&scan.views[0].map, block) == MAP_BAD_PAGE);
			end();
		}
		unit_poke_number(at[i], 8, whole[i]);
	}
	scan_with(&(struct scan){ 0 });
	ck_assert(!scan_found_damage(&scan));
	end();
}
END_TEST

START_TEST(test_tables_out_of_place)
{
	uint64_t root = RECORD * PAGE + 4088, upper, leaf;
	struct told told = { 0 };

	make(100, 1ull << 18);
	unit_poke_page(0, 10);
	unit_poke_page(512, 11);
	upper = unit_table(0, 2);
	leaf = unit_table(0, 1);
	/* The leaf of another place; of another level; one that is named twice; one that names itself. */
	unit_poke_number(upper * PAGE + 8 * 2, 8, unit_peek_number(upper * PAGE, 8));
	unit_poke_number(upper * PAGE + 8 * 3, 8, unit_table_entry(upper, 2, 0));
	unit_poke_number(upper * PAGE + 8 * 4, 8, unit_table_entry(leaf, 1, 4));
	unit_poke_number(upper * PAGE + 8 * 5, 8, unit_table_entry(upper, 1, 5));
	/* A block on the page of a table, of the record, and of another block. */
	unit_poke_page(1, leaf);
	unit_poke_page(2, RECORD);
	unit_poke_page(3, 11);
	scan_with(&(struct scan){ .damaged = tell, .damaged_opaque = &told });
	ck_assert_uint_eq(scan.wild, 2);
	expect_told(&told, DAMAGE_TURNED, 1, 2, leaf);
	expect_told(&told, DAMAGE_TURNED, 1, 3, upper);
	expect_told(&told, DAMAGE_SHARED, 1, 4, leaf);
	expect_told(&told, DAMAGE_SHARED, 1, 5, upper);
	expect_told(&told, DAMAGE_SHARED, 0, 1, leaf);
	expect_told(&told, DAMAGE_SHARED, 0, 2, RECORD);
	/* Which of two blocks comes second is chance in a parallel scan, but this one is not large. */
	expect_told(&told, DAMAGE_SHARED, 0, 512, 11);
	ck_assert_uint_eq(scan.named_twice, 4);
	end();
	/* A root that names a leaf is no root. */
	unit_poke_number(root, 8, unit_table_entry(leaf, 1, 0));
	told.count = 0;
	scan_with(&(struct scan){ .damaged = tell, .damaged_opaque = &told });
	ck_assert_uint_eq(scan.wild, 1);
	expect_told(&told, DAMAGE_TURNED, 2, 0, leaf);
	end();
}
END_TEST

START_TEST(test_what_is_past_the_end_is_named_and_no_damage)
{
	make(100, (1ull << 18));
	unit_poke_page(700, 10);
	unit_poke_page(5000, 11);
	/* It was shrunk to 700 blocks, and keeps its height. */
	unit_poke_number(RECORD * PAGE + 16, 8, 700);
	unit_seal_record(RECORD);
	scan_with(&(struct scan){ 0 });
	ck_assert(!scan_found_damage(&scan));
	ck_assert_uint_eq(scan.used, 2);
	/* Two blocks and the leaf of the second. */
	ck_assert_uint_eq(scan.views[0].past, 3);
	ck_assert(bitmap_test(scan.named, 10 - RECORD) && bitmap_test(scan.named, 11 - RECORD));
	end();
}
END_TEST

START_TEST(test_media_errors_in_tables)
{
	uint64_t leaf;

	if (!unit_faults_work())
		return;
	make(100, 1ull << 18);
	unit_poke_page(0, 10);
	leaf = unit_table(0, 1);
	scan = (struct scan){ 0 };
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&device), 0);
	/* The table above it is behind it. */
	ck_assert_int_eq(truncate(unit_device, (off_t)(leaf * PAGE)), 0);
	ck_assert_int_eq(scan_open(&scan, &device, &super), 0);
	ck_assert_uint_eq(scan.unreadable, 512);
	end();
}
END_TEST

/* ---- directory and record ------------------------------------------------------------------- */

static void expect_problem(const char *words, unsigned int volumes)
{
	scan_with(&(struct scan){ 0 });
	ck_assert_msg(strstr(scan.problem, words) != NULL, "\"%s\" is not in \"%s\"", words,
		      scan.problem);
	ck_assert(scan_found_damage(&scan));
	ck_assert_uint_eq(scan.view_count, volumes);
	end();
}

START_TEST(test_directory)
{
	uint64_t entry, other = 5 * 8;

	make(100, 1000);
	entry = unit_peek_number(PAGE, 8);
	ck_assert_uint_eq(entry, unit_record_entry(RECORD, 0));
	ck_assert_uint_eq(unit_peek_number(2 * PAGE, 8), entry);
	for (unsigned int bit = 0; bit < 64; bit++) {
		/* The copy stands in. */
		unit_poke_number(PAGE, 8, entry ^ 1ull << bit);
		expect_problem("entry 0 of the directory is damaged", 1);
		unit_poke_number(PAGE, 8, entry);
		unit_poke_number(2 * PAGE, 8, entry ^ 1ull << bit);
		expect_problem("entry 0 of the directory's copy is damaged", 1);
		unit_poke_number(2 * PAGE, 8, entry);
	}
	unit_poke_number(PAGE, 8, 0);
	expect_problem("entry 0 of the directory is lost", 1);
	unit_poke_number(PAGE, 8, entry);
	/* In another place it is no entry. */
	unit_poke_number(PAGE + other, 8, entry);
	expect_problem("entry 5 of the directory is damaged", 1);
	/* The same record by a right one. */
	unit_poke_number(PAGE + other, 8, unit_record_entry(RECORD, 5));
	unit_poke_number(2 * PAGE + other, 8, unit_record_entry(RECORD, 5));
	expect_problem("volume 5 has the name or the record of another, disk", 1);
	unit_poke_number(PAGE + other, 8, 0);
	unit_poke_number(2 * PAGE + other, 8, 0);
	/* As a crash leaves it: the directory is right. */
	unit_poke_number(2 * PAGE, 8, 0);
	scan_with(&(struct scan){ 0 });
	ck_assert(!scan_found_damage(&scan) && scan.unequal);
	end();
}
END_TEST

/* The first entry of each page, the last of all, and one that is of another page. */
START_TEST(test_several_pages_of_the_directory)
{
	static const unsigned int numbers[] = { 512, 1024, 1535 };
	char words[80];

	make_with(200, 1000, 3);
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&device), 0);
	for (unsigned int i = 0; i < 3; i++) {
		struct record record = { .blocks = 1, .height = 1, .uuid = { (uint8_t)(i + 1) } };

		snprintf(record.name, sizeof(record.name), "v%u", numbers[i]);
		ck_assert_int_eq(record_write(&device, 50 + i, &record, 0, PM_RECORD, NULL), 0);
		ck_assert_int_eq(directory_set(&device, &super, numbers[i], 50 + i), 0);
	}
	device_close(&device);
	scan_with(&(struct scan){ 0 });
	ck_assert_msg(!scan_found_damage(&scan) && !scan.unequal, "%s", scan.problem);
	ck_assert_uint_eq(scan.view_count, 4);
	/* Six pages of the directory, four records. */
	ck_assert_uint_eq(scan.page_count, 10);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_uint_eq(scan.views[1 + i].number, numbers[i]);
		ck_assert_uint_eq(scan.views[1 + i].page, 50 + i);
	}
	end();
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t at = PAGE + 8 * numbers[i], entry = unit_peek_number(at, 8);

		ck_assert_uint_eq(entry, unit_record_entry(50 + i, numbers[i]));
		ck_assert_uint_eq(unit_peek_number(at + 3 * PAGE, 8), entry);
		unit_poke_number(at, 8, entry ^ 16);
		snprintf(words, sizeof(words), "entry %u of the directory is damaged", numbers[i]);
		expect_problem(words, 4);
		/* It is none in another page. */
		unit_poke_number(at, 8, unit_record_entry(50 + i, numbers[i] % 512));
		expect_problem(words, 4);
		unit_poke_number(at, 8, entry);
		unit_poke_number(at + 3 * PAGE, 8, entry ^ 16);
		snprintf(words, sizeof(words), "entry %u of the directory's copy is damaged",
			 numbers[i]);
		expect_problem(words, 4);
		unit_poke_number(at + 3 * PAGE, 8, entry);
	}
	/* The name of one in the first page. */
	unit_poke(52 * PAGE + 56, "disk", 5);
	unit_seal_record(52);
	expect_problem("volume 1535 has the name or the record of another, disk", 3);
}
END_TEST

START_TEST(test_record)
{
	static const struct {
		unsigned int at, width;
		uint64_t value;
		const char *words;
	} wrongs[] = {
		{ 0, 1, 'k', "page 3 is no record" },
		{ 8, 4, 0, "height 0 for 1000 blocks" },
		{ 8, 4, 1, "height 1 for 1000 blocks" },
		{ 8, 4, 6, "height 6 for 1000 blocks" },
		{ 12, 4, 8, "reserved bytes are not zero" },
		{ 12, 4, 2, "half of a snapshot" },
		{ 152, 8, 1, "half of a snapshot" },
		{ 16, 8, 0, "impossible size: 0 blocks" },
		{ 16, 8, (1ull << 39) + 1, "impossible size: 549755813889 blocks" },
		{ 56, 1, '.', "a name that is none" },
		{ 58, 1, ' ', "a name that is none" },
		{ 119, 1, 'x', "a name that is none" },
		{ 120, 1, 1, "half of a snapshot" },
		{ 160, 1, 1, "reserved bytes are not zero" },
		{ 4083, 1, 1, "reserved bytes are not zero" },
	};

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		make(100, 1000);
		unit_poke_number(RECORD * PAGE + wrongs[i].at, wrongs[i].width, wrongs[i].value);
		if (i > 0)
			expect_problem("wrong checksum of page 3", 0);
		unit_seal_record(RECORD);
		expect_problem(wrongs[i].words, 0);
	}
	/* A map that is higher than it need be, as after shrinking. */
	make(100, 1000);
	unit_poke_number(RECORD * PAGE + 8, 4, 5);
	unit_seal_record(RECORD);
	scan_with(&(struct scan){ 0 });
	ck_assert(!scan_found_damage(&scan));
	end();
}
END_TEST

START_TEST(test_every_flipped_bit_of_a_record_is_seen)
{
	uint64_t step = 32768 / scale(32768);

	make(100, 1000);
	unit_poke_page(7, 10);
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&device), 0);
	for (uint64_t bit = 0; bit < 8 * PAGE; bit += step) {
		uint8_t *byte = device.pm.base + RECORD * PAGE + bit / 8;

		*byte ^= (uint8_t)(1u << bit % 8);
		scan = (struct scan){ 0 };
		ck_assert_int_eq(scan_open(&scan, &device, &super), 0);
		ck_assert(scan_found_damage(&scan));
		scan_free(&scan);
		*byte ^= (uint8_t)(1u << bit % 8);
	}
	end();
}
END_TEST

/* ---- services ------------------------------------------------------------------------------- */

static unsigned int calls;
static uint64_t last_done, last_total;

static void note_progress(void *opaque, uint64_t done, uint64_t total)
{
	(void)opaque;
	ck_assert_uint_ge(done, last_done);
	last_done = done;
	last_total = total;
	calls++;
}

START_TEST(test_progress_reaches_its_end)
{
	make(3000, 1ull << 20);
	for (uint64_t leaf = 0; leaf < 300; leaf++)
		unit_poke_page(leaf << 9, 10 + leaf);
	scan_with(&(struct scan){ .progress = note_progress });
	ck_assert_uint_eq(last_done, 300);
	ck_assert_uint_eq(last_total, 300);
	ck_assert_uint_ge(calls, 2);
	end();
}
END_TEST

START_TEST(test_persist_tells_a_media_error)
{
	const _Atomic uint64_t *entry;

	if (!unit_faults_work())
		return;
	make(100, 1000);
	unit_poke_page(0, 10);
	scan_with(&(struct scan){ 0 });
	entry = map_table(&scan.views[0].map, unit_table(0, 1));
	ck_assert_int_eq(map_persist_guarded(&scan.views[0].map, entry, 4, PM_WRITE_ENTRY), 0);
	end();
}
END_TEST

START_TEST(test_type_none_has_no_volumes)
{
	make(100, 1000);
	super.type = type_by_id(0);
	super.directory_pages = 0;
	scan_with(&(struct scan){ .progress = note_progress });
	ck_assert_uint_eq(scan.view_count + scan.used + scan.tables, 0);
	end();
}
END_TEST

UNIT_MAIN("scan", test_empty_map_has_no_tables, test_height, test_sparse_maps_of_each_height,
	  test_wild_entries, test_each_turned_bit_is_seen, test_tables_out_of_place,
	  test_what_is_past_the_end_is_named_and_no_damage, test_media_errors_in_tables,
	  test_directory, test_several_pages_of_the_directory, test_record,
	  test_every_flipped_bit_of_a_record_is_seen, test_progress_reaches_its_end,
	  test_persist_tells_a_media_error, test_type_none_has_no_volumes)
