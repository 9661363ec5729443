/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ancestry.c - each view's predecessor is found from the records alone; and the scan counts what views share once, each
 * page for its owner, and tells what has two.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map/directory.h"
#include "map/ancestry.h"
#include "map/scan.h"
#include "media/guard.h"
#include "unit.h"

#define FAMILY 0x0123456789abcdefull

/* ---- records --------------------------------------------------------------------------------- */

/* A volume, by the first byte of uuids; `sequence` > 0: a snapshot of `volume`, which is then its uuid. */
static struct record record_of(const char *name, uint8_t uuid, uint8_t volume, uint64_t sequence,
			       uint8_t origin)
{
	struct record record = { .blocks = 1000,
				 .height = 2,
				 .family = FAMILY,
				 .flags = sequence > 0 ? LAYOUT_RECORD_SNAPSHOT : 0,
				 .sequence = sequence,
				 .uuid = { uuid },
				 .volume = { volume },
				 .origin = { origin } };

	snprintf(record.name, sizeof(record.name), "%s", name);
	return record;
}

static struct scan_view views[10];
static unsigned int count;
static char told[1000];

/* The next view; its number. */
static unsigned int add(const char *name, uint8_t uuid, uint8_t volume, uint64_t sequence,
			uint8_t origin)
{
	views[count] = (struct scan_view){ .number = count };
	views[count].map.record = record_of(name, uuid, volume, sequence, origin);
	return count++;
}

static void note(void *opaque, const struct scan_view *view, const char *text)
{
	size_t at = strlen(told);

	ck_assert_ptr_eq(opaque, told);
	ck_assert_uint_lt(view->number, count);
	snprintf(told + at, sizeof(told) - at, "%s%s", at > 0 ? "; " : "", text);
}

static void find(const char *problems)
{
	told[0] = '\0';
	ck_assert_int_eq(ancestry_find(views, count, note, told), 0);
	ck_assert_str_eq(told, problems);
}

static void expect_before(unsigned int view, const char *predecessor)
{
	const struct scan_view *before = views[view].predecessor;
	char name[LISTING_NAME_SIZE] = "";

	if (before != NULL)
		ancestry_name(before, name);
	ck_assert_str_eq(name, predecessor);
}

/* The example of kmemblk-format(5), in any order. */
START_TEST(test_predecessors)
{
	for (unsigned int first = 0; first < 5; first++) {
		unsigned int at[5] = { 0 };

		count = 0;
		for (unsigned int i = first; i < first + 5; i++)
			switch (i % 5) {
			case 0:
				at[0] = add("a", 11, 1, 1, 0);
				break;
			case 1:
				at[1] = add("kmem0", 1, 0, 0, 0);
				break;
			case 2:
				at[2] = add("copy", 2, 0, 0, 11);
				break;
			case 3:
				at[3] = add("b", 10, 1, 4, 0);
				break;
			default:
				at[4] = add("x", 12, 2, 1, 11);
			}
		find("");
		expect_before(at[0], "");
		expect_before(at[1], "kmem0@b");
		expect_before(at[2], "copy@x");
		expect_before(at[3], "kmem0@a");
		expect_before(at[4], "kmem0@a");
	}
}
END_TEST

START_TEST(test_largest_sequence_is_the_youngest)
{
	unsigned int v, s, t;

	count = 0;
	s = add("s", 11, 1, UINT64_MAX, 0);
	v = add("v", 1, 0, 0, 0);
	t = add("t", 12, 1, UINT64_MAX - 1, 0);
	find("");
	expect_before(v, "v@s");
	expect_before(s, "v@t");
	expect_before(t, "");
}
END_TEST

START_TEST(test_snapshots_of_a_volume_that_is_not_there)
{
	unsigned int a, b, clone;

	count = 0;
	b = add("b", 11, 0xab, 2, 0);
	a = add("a", 12, 0xab, 1, 0);
	clone = add("clone", 1, 0, 0, 11);
	find("");
	expect_before(a, "");
	expect_before(b, "ab000000-0000-0000-0000-000000000000@a");
	expect_before(clone, "ab000000-0000-0000-0000-000000000000@b");
}
END_TEST

START_TEST(test_origin_is_a_snapshot_that_is_there)
{
	unsigned int clone;

	count = 0;
	clone = add("clone", 1, 0, 0, 99);
	find("clone: the snapshot that it was cloned from is not there");
	expect_before(clone, "");
	/* A volume is none. */
	add("other", 99, 0, 0, 0);
	find("clone: the snapshot that it was cloned from is not there");
	expect_before(clone, "");
	/* Only the first of a volume has it as predecessor, and all must name it. */
	count = 0;
	add("other", 99, 0, 0, 0);
	add("s", 98, 99, 1, 0);
	clone = add("clone", 1, 0, 0, 98);
	add("x", 10, 1, 1, 0);
	find("clone: its origin is not that of clone@x");
	expect_before(clone, "clone@x");
	expect_before(3, "");
}
END_TEST

START_TEST(test_circles)
{
	count = 0;
	add("a", 1, 0, 0, 12);
	add("s", 11, 1, 1, 12);
	add("b", 2, 0, 0, 11);
	add("s", 12, 2, 1, 11);
	find("b@s: it was cloned from what came of itself: a@s");
	expect_before(0, "a@s");
	expect_before(1, "b@s");
	expect_before(2, "b@s");
	expect_before(3, "");
	/* From its own snapshot. */
	count = 0;
	add("a", 1, 0, 0, 12);
	add("s", 11, 1, 1, 12);
	add("t", 12, 1, 2, 12);
	find("a@s: it was cloned from what came of itself: a@t");
	expect_before(0, "a@t");
	expect_before(1, "");
	expect_before(2, "a@s");
	/* From itself. */
	count = 0;
	add("t", 12, 1, 2, 12);
	find("01000000-0000-0000-0000-000000000000@t: it was cloned from what came of itself: "
	     "01000000-0000-0000-0000-000000000000@t");
	expect_before(0, "");
}
END_TEST

START_TEST(test_two_of_one_uuid)
{
	count = 0;
	add("v", 1, 0, 0, 0);
	add("s", 11, 1, 1, 0);
	add("t", 11, 1, 2, 0);
	add("w", 1, 0, 0, 0);
	find("w: it has the uuid of another, v; v@t: it has the uuid of another, v@s");
	expect_before(0, "v@t");
	expect_before(1, "");
	expect_before(2, "v@s");
	/* Of two volumes the first has the snapshots. */
	expect_before(3, "");
}
END_TEST

START_TEST(test_two_of_one_sequence)
{
	count = 0;
	add("t", 12, 1, 7, 0);
	add("v", 1, 0, 0, 0);
	add("s", 11, 1, 7, 0);
	find("v@s: it has the sequence of another snapshot, v@t");
	expect_before(0, "");
	expect_before(1, "v@s");
	expect_before(2, "v@t");
}
END_TEST

START_TEST(test_family_and_height_fit)
{
	for (unsigned int i = 0; i < 2; i++) {
		count = 0;
		add("v", 1, 0, 0, 0);
		add("s", 11, 1, 1, 0);
		add("t", 12, 1, 2, 0);
		if (i == 0)
			views[1].map.record.family++;
		else
			views[1].map.record.height++;
		find(i == 0 ? "v@t: its family is not that of v@s"
			    : "v@t: its map is less high than that of v@s");
		expect_before(0, "v@t");
		expect_before(1, "");
		expect_before(2, "");
	}
	/* Higher it may be. */
	count = 0;
	add("v", 1, 0, 0, 0);
	add("s", 11, 1, 1, 0);
	views[0].map.record.height = 5;
	find("");
	expect_before(0, "v@s");
}
END_TEST

static void count_problem(void *opaque, const struct scan_view *view, const char *text)
{
	unsigned int *problems = opaque;

	(void)view;
	(void)text;
	(*problems)++;
}

/* As many as a directory holds, with what could take long: all of one uuid, all each other's origin, one chain. */
START_TEST(test_full_directory)
{
	unsigned int all = LAYOUT_DIRECTORY_MAX * LAYOUT_TABLE_ENTRIES, problems;
	struct scan_view *many = calloc(all, sizeof(many[0]));

	ck_assert_ptr_nonnull(many);
	for (unsigned int how = 0; how < 3; how++) {
		problems = 0;
		for (unsigned int i = 0; i < all; i++) {
			struct record *record = &many[i].map.record;
			unsigned int origin = (i + 1) % all;

			many[i] = (struct scan_view){ .number = i };
			*record = record_of("s", 0, 1, how == 2 ? all - i : 1, 0);
			memcpy(record->uuid + 1, &i, how == 0 ? 0 : sizeof(i));
			memcpy(record->volume + 1, &i, how == 2 ? 0 : sizeof(i));
			record->uuid[0] = record->origin[0] = 9;
			memcpy(record->origin + 1, &origin, how == 0 ? 0 : sizeof(origin));
			if (how == 2)
				memset(record->origin, 0, sizeof(record->origin));
		}
		ck_assert_int_eq(ancestry_find(many, all, count_problem, &problems), 0);
		/* The second is one circle, which is cut once. */
		if (how > 0)
			ck_assert_uint_eq(problems, how == 1 ? 1 : 0);
		else
			ck_assert_uint_ge(problems, all - 1);
	}
	free(many);
}
END_TEST

/* ---- maps ------------------------------------------------------------------------------------ */

static struct device device;
static struct super super;
static struct scan scan;

#define SECOND_LEVEL 512u

/* A device without check values of blocks and with these records, on page 10 and on. */
static void make(const struct record *records, unsigned int n)
{
	ck_assert_int_eq(guard_install(), 0);
	super = (struct super){ .type = type_by_id(1),
				.directory_start = 1,
				.directory_pages = 1,
				.spare_pages = 1,
				.generation = 1,
				.device_pages = 1000 };
	unit_make_file(unit_device, super.device_pages * PAGE);
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&device), 0);
	ck_assert_int_eq(super_write(&device, 0, &super, PM_FORMAT_PRIMARY), 0);
	for (unsigned int i = 0; i < n; i++) {
		ck_assert_int_eq(record_write(&device, 10 + i, &records[i], 0, PM_RECORD, NULL), 0);
		ck_assert_int_eq(directory_set(&device, &super, i, 10 + i), 0);
	}
	device_close(&device);
}

static void put(uint64_t page, unsigned int index, uint64_t entry)
{
	unit_poke_number(page * PAGE + 8 * index, 8, entry);
}

/* In a table, or with index 511 in a record: the entry of a table. */
static void put_table(uint64_t in, unsigned int index, uint64_t page, unsigned int level,
		      uint64_t number)
{
	put(in, index, unit_table_entry(page, level, number));
}

static void put_block(uint64_t in, unsigned int index, uint64_t page)
{
	put(in, index, layout_pack_entry(page, 0));
}

static void look(void)
{
	scan = (struct scan){ 0 };
	ck_assert_int_eq(device_open(&device, unit_device, true), 0);
	ck_assert_int_eq(device_map(&device), 0);
	ck_assert_msg(scan_open(&scan, &device, &super) == 0, "%s", kmemblk_error());
}

static void end(void)
{
	scan_free(&scan);
	device_close(&device);
}

static void expect_view(unsigned int i, uint64_t used, uint64_t tables, uint64_t owned,
			uint64_t owned_tables)
{
	const struct scan_view *view = &scan.views[i];

	ck_assert_msg(view->used == used && view->tables == tables && view->owned == owned &&
			      view->owned_tables == owned_tables,
		      "view %u has %llu blocks and %llu tables, and owns %llu and %llu", i,
		      (unsigned long long)view->used, (unsigned long long)view->tables,
		      (unsigned long long)view->owned, (unsigned long long)view->owned_tables);
}

/*
 * v@a has blocks 0 and 1; in v block 0 is another, and block 2 is new; the clone of v@a, of two levels more, has its
 * root as it is; the other clone has trimmed all.
 */
static void make_shared(void)
{
	struct record records[4];

	records[0] = record_of("v", 1, 0, 0, 0);
	records[1] = record_of("a", 11, 1, 1, 0);
	records[2] = record_of("clone", 2, 0, 0, 11);
	records[2].height = 4;
	records[2].blocks = 1ull << 30;
	records[3] = record_of("bare", 3, 0, 0, 11);
	make(records, 4);
	put_table(11, 511, 20, 2, 0);
	put_table(20, 0, 21, 1, 0);
	put_block(21, 0, 100);
	put_block(21, 1, 101);
	put_table(10, 511, 30, 2, 0);
	put_table(30, 0, 31, 1, 0);
	put_block(31, 0, 102);
	put_block(31, 1, 101);
	put_block(31, 2, 103);
	put_table(12, 511, 40, 4, 0);
	put_table(40, 0, 41, 3, 0);
	put_table(41, 0, 20, 2, 0);
}

START_TEST(test_shared_pages_are_counted_once)
{
	make_shared();
	look();
	ck_assert_msg(!scan_found_damage(&scan), "%s", scan.problem);
	ck_assert_uint_eq(scan.used, 4);
	ck_assert_uint_eq(scan.tables, 4 + 6);
	expect_view(0, 3, 2, 2, 2);
	expect_view(1, 2, 2, 2, 2);
	expect_view(2, 2, 4, 0, 2);
	expect_view(3, 0, 0, 0, 0);
	/* Records; volumes: all they have; the snapshot: what it owns. */
	ck_assert_uint_eq(scan.reserved, 4 + (3 + 2) + (2 + 4) + 0 + (2 + 2));
	end();
}
END_TEST

static void expect_twice(uint64_t page, uint64_t all)
{
	look();
	ck_assert_uint_eq(scan.named_twice, all);
	ck_assert(bitmap_test(scan.twice, page - super_data_start(&super)));
	end();
}

START_TEST(test_a_page_has_one_owner)
{
	/* Another block of the same view; another view's block at another place; the same place, not its predecessor. */
	make_shared();
	put_block(31, 5, 101);
	expect_twice(101, 1);
	make_shared();
	put_table(41, 1, 42, 2, 1);
	put_table(42, 0, 43, 1, SECOND_LEVEL);
	put_block(43, 0, 101);
	expect_twice(101, 1);
	make_shared();
	put_table(13, 511, 50, 2, 0);
	put_table(50, 0, 51, 1, 0);
	put_block(51, 0, 102);
	expect_twice(102, 1);
	/* So a leaf of v in the clone; its blocks are met once. */
	make_shared();
	put_table(13, 511, 50, 2, 0);
	put_table(50, 0, 31, 1, 0);
	expect_twice(31, 1);
	/* A table of the predecessor as a block; and a record. */
	make_shared();
	put_block(31, 7, 21);
	expect_twice(21, 1);
	make_shared();
	put_block(31, 7, 11);
	expect_twice(11, 1);
}
END_TEST

/* An old snapshot and the volume have it, and the snapshot between them does not. */
START_TEST(test_a_page_does_not_come_back)
{
	struct record records[3];

	records[0] = record_of("v", 1, 0, 0, 0);
	records[1] = record_of("a", 11, 1, 1, 0);
	records[2] = record_of("b", 12, 1, 2, 0);
	make(records, 3);
	put_table(10, 511, 20, 2, 0);
	put_table(11, 511, 20, 2, 0);
	put_table(20, 0, 21, 1, 0);
	put_block(21, 9, 100);
	expect_twice(20, 1);
	put_table(12, 511, 20, 2, 0);
	look();
	ck_assert(!scan_found_damage(&scan));
	ck_assert_uint_eq(scan.used, 1);
	for (unsigned int i = 0; i < 3; i++)
		expect_view(i, 1, 2, i == 1, i == 1 ? 2 : 0);
	end();
}
END_TEST

/* What is damaged in a predecessor is never less than nothing in who comes after it. */
START_TEST(test_damage_does_not_count_below_zero)
{
	make_shared();
	/* The leaf of v@a at a second place, where the others have nothing. */
	put_table(20, 1, 21, 1, 1);
	look();
	ck_assert_uint_eq(scan.named_twice, 1);
	for (unsigned int i = 0; i < 4; i++)
		ck_assert(scan.views[i].used < 10 && scan.views[i].tables < 10);
	end();
}
END_TEST

START_TEST(test_shared_entry_that_has_turned_is_told_once)
{
	uint64_t entry;

	make_shared();
	entry = unit_peek_number(20 * PAGE, 8);
	put(20, 0, entry ^ 1ull << 50);
	look();
	ck_assert_uint_eq(scan.wild, 1);
	ck_assert_uint_eq(scan.views[1].damaged, 1);
	end();
}
END_TEST

UNIT_MAIN("family", test_predecessors, test_largest_sequence_is_the_youngest,
	  test_snapshots_of_a_volume_that_is_not_there, test_origin_is_a_snapshot_that_is_there,
	  test_circles, test_two_of_one_uuid, test_two_of_one_sequence, test_family_and_height_fit,
	  test_full_directory, test_shared_pages_are_counted_once, test_a_page_has_one_owner,
	  test_a_page_does_not_come_back, test_damage_does_not_count_below_zero,
	  test_shared_entry_that_has_turned_is_told_once)
