/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * volumes.c - volumes are made, deleted, renamed and resized, whole or not at all; they share pages and nothing
 * else.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "io/volume.h"
#include "map/tree.h"
#include "unit.h"

static struct kmemblk *h;

static void create(const char *name, uint64_t size)
{
	ck_assert_msg(kmemblk_volume_create(h, name, size, 0) == 0, "%s", kmemblk_error());
}

/* All pages are somebody's. */
static void expect_sum(void)
{
	struct kmemblk_info info = unit_info(h);

	ck_assert_uint_eq(info.pages_used + info.pages_tables + info.pages_free +
				  info.pages_quarantined,
			  info.data_pages);
}

static int join_name(void *opaque, const struct kmemblk_volume_info *info)
{
	strcat(opaque, info->name);
	strcat(opaque, info->is_default ? "* " : " ");
	return 0;
}

static void expect_names(const char *names)
{
	char text[1000] = "";

	ck_assert_int_eq(kmemblk_volume_list(h, join_name, text), 0);
	ck_assert_str_eq(text, names);
}

static void reopen(void)
{
	kmemblk_close(h);
	unit_expect_clean();
	h = unit_open(0);
}

START_TEST(test_several_share_the_pages)
{
	static const char *const names[] = { "kmem0", "a", "b.c-d_E9" };
	struct kmemblk_volume *v[3];

	h = unit_make(8 * MIB);
	create("a", 1ull << 40);
	create("b.c-d_E9", PAGE);
	expect_names("kmem0* a b.c-d_E9 ");
	for (unsigned int i = 0; i < 3; i++)
		v[i] = unit_open_volume(h, names[i]);
	for (unsigned int i = 0; i < 3; i++)
		unit_write_to(v[i], 0, 10 + i);
	unit_write_to(v[1], (1ull << 28) - 1, 20);
	unit_expect_error(kmemblk_write(v[2], "x", 1, PAGE), EINVAL, "disk of 4096 bytes");
	expect_sum();
	for (unsigned int i = 0; i < 3; i++)
		kmemblk_volume_close(v[i]);
	reopen();
	expect_names("kmem0* a b.c-d_E9 ");
	for (unsigned int i = 0; i < 3; i++) {
		v[i] = unit_open_volume(h, names[i]);
		unit_expect_in(v[i], 0, 10 + i);
	}
	unit_expect_in(v[1], (1ull << 28) - 1, 20);
	unit_expect_in(v[1], 1ull << 27, 0);
	ck_assert_int_eq(kmemblk_trim(v[1], 1ull << 40, 0), 0);
	unit_expect_in(v[0], 0, 10);
	unit_expect_in(v[2], 0, 12);
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

START_TEST(test_names_and_sizes_that_are_refused)
{
	static const char *const names[] = { "", ".a", "-", "_x", "a b", "a@b", "a/b", "\xc3\xa9" };
	char name[66];

	h = unit_make(MIB);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unit_expect_error(kmemblk_volume_create(h, names[i], PAGE, 0), EINVAL,
				  "cannot be a name");
	memset(name, 'x', 65);
	name[64] = '\0';
	unit_expect_error(kmemblk_volume_create(h, name, PAGE, 0), EINVAL, "cannot be a name");
	name[63] = '\0';
	create(name, PAGE);
	unit_expect_error(kmemblk_volume_create(h, name, PAGE, 0), EEXIST, "already");
	unit_expect_error(kmemblk_volume_rename(h, "kmem0", name), EEXIST, "already");
	unit_expect_error(kmemblk_volume_rename(h, "kmem0", ".a"), EINVAL, "cannot be a name");
	unit_expect_error(kmemblk_volume_create(h, "a", 0, 0), EINVAL, "multiple of 4096");
	unit_expect_error(kmemblk_volume_create(h, "a", 100, 0), EINVAL, "multiple of 4096");
	unit_expect_error(kmemblk_volume_create(h, "a", (1ull << 51) + PAGE, 0), EINVAL, "2 PiB");
	unit_expect_error(kmemblk_volume_create(h, "a", PAGE, 4), EINVAL, "unknown flags 0x4");
	unit_expect_error(kmemblk_volume_delete(h, "b", 0), ENOENT,
			  "there is no volume b; there are: kmem0, xxx");
	unit_expect_error(kmemblk_volume_resize(h, "kmem0", PAGE, 2), EINVAL, "unknown flags 0x2");
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_error(kmemblk_volume_create(h, "a", PAGE, 0), EROFS, "opened read-only");
	unit_expect_error(kmemblk_volume_delete(h, "kmem0", 0), EROFS, "opened read-only");
	kmemblk_close(h);
}
END_TEST

START_TEST(test_directory_full)
{
	char name[16];

	h = unit_make(16 * MIB);
	for (unsigned int i = 1; i < 512; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		create(name, 1ull << 51);
	}
	unit_expect_error(
		kmemblk_volume_create(h, "more", PAGE, 0), ENOSPC,
		"its directory is full: it has room for 512 volumes and snapshots; kmemblk format "
		"--views= makes more, and what the device holds is lost by that");
	reopen();
	expect_sum();
	ck_assert_uint_eq(unit_info(h).volumes, 512);
	ck_assert_uint_eq(unit_info(h).pages_tables, 512);
	ck_assert_int_eq(kmemblk_volume_delete(h, "v300", 0), 0);
	create("more", PAGE);
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

/* Volumes whose entries are in three pages of the directory; the last of each page is written to. */
START_TEST(test_several_pages_of_the_directory)
{
	struct kmemblk_volume *v;
	char name[16];

	unit_format_with(
		&(struct kmemblk_format_options){ .create_size = 16 * MIB, .views = 1025 });
	h = unit_open(0);
	for (unsigned int i = 1; i < 1536; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		create(name, 1ull << 51);
		if (i % 512 == 511) {
			v = unit_open_volume(h, name);
			unit_write_to(v, 77, i);
			kmemblk_volume_close(v);
		}
	}
	unit_expect_error(kmemblk_volume_create(h, "more", PAGE, 0), ENOSPC,
			  "its directory is full: it has room for 1536 volumes");
	/* The name of one that is found in another page. */
	unit_expect_error(kmemblk_volume_rename(h, "v3", "v1300"), EEXIST, "already");
	ck_assert_int_eq(kmemblk_volume_delete(h, "v700", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "v1400", 0), 0);
	ck_assert_int_eq(kmemblk_volume_rename(h, "v1024", "renamed"), 0);
	reopen();
	expect_sum();
	ck_assert_uint_eq(unit_info(h).volumes, 1534);
	for (unsigned int i = 511; i < 1536; i += 512) {
		snprintf(name, sizeof(name), "v%u", i);
		v = unit_open_volume(h, name);
		unit_expect_in(v, 77, i);
		kmemblk_volume_close(v);
	}
	v = unit_open_volume(h, "renamed");
	ck_assert_uint_eq(v->number, 1024);
	kmemblk_volume_close(v);
	/* The first that is free. */
	create("more", PAGE);
	v = unit_open_volume(h, "more");
	ck_assert_uint_eq(v->number, 700);
	kmemblk_volume_close(v);
	/* By what the manual page says: page 2 of the directory, and of its copy, entry 188. */
	ck_assert_uint_eq(unit_peek_number(2 * PAGE + 8 * 188, 8),
			  unit_peek_number(5 * PAGE + 8 * 188, 8));
	ck_assert_uint_ne(unit_peek_number(2 * PAGE + 8 * 188, 8), 0);
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

START_TEST(test_which_is_the_default)
{
	struct kmemblk_volume *v;

	h = unit_make(MIB);
	create("b", PAGE);
	create("c", PAGE);
	ck_assert_int_eq(kmemblk_volume_rename(h, "kmem0", "first"), 0);
	expect_names("first* b c ");
	reopen();
	expect_names("first* b c ");
	ck_assert_int_eq(kmemblk_volume_delete(h, "first", 0), 0);
	unit_expect_error(kmemblk_volume_open(h, NULL, &v), ENOENT,
			  "name a volume; there are: b, c");
	ck_assert_uint_eq(unit_info(h).blocks, 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "b", 0), 0);
	expect_names("c* ");
	ck_assert_int_eq(kmemblk_volume_delete(h, "c", 0), 0);
	unit_expect_error(kmemblk_volume_open(h, NULL, &v), ENOENT, "there are: none");
	reopen();
	expect_names("");
	ck_assert_uint_eq(unit_info(h).pages_free, unit_info(h).data_pages);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_deleting_gives_all_back)
{
	struct kmemblk_volume *v;
	uint64_t before;

	h = unit_make(8 * MIB);
	before = unit_info(h).pages_free;
	create("a", 1ull << 41);
	v = unit_open_volume(h, "a");
	for (uint64_t i = 0; i < 400; i++)
		unit_write_to(v, i * i * 1000, i);
	unit_expect_error(kmemblk_volume_delete(h, "a", 0), EBUSY,
			  "volume a is open: it has 1 user;");
	kmemblk_volume_close(v);
	ck_assert_int_eq(kmemblk_volume_delete(h, "a", 0), 0);
	AWAIT(unit_info(h).pages_retired == 0);
	ck_assert_uint_eq(unit_info(h).pages_free, before);
	/* The pages serve again, all of them. */
	for (uint64_t block = 0; block < unit_info(h).blocks; block++)
		unit_write(h, block, block + 1);
	for (uint64_t block = 0; block < unit_info(h).blocks; block++)
		unit_expect(h, block, block + 1);
	expect_sum();
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

START_TEST(test_a_full_device)
{
	struct kmemblk_volume *v;
	uint64_t block = 0;
	uint8_t bytes[PAGE];

	unit_format_with(
		&(struct kmemblk_format_options){ .create_size = 4 * MIB, .spare_pages = 1 });
	h = unit_open(0);
	create("a", 1ull << 40);
	v = unit_open_volume(h, "a");
	unit_fill(bytes, 7);
	while (kmemblk_write(v, bytes, PAGE, block * PAGE) == 0)
		block++;
	unit_expect_error(kmemblk_volume_create(h, "b", PAGE, 0), ENOSPC, "no page is left");
	/* These need none. */
	ck_assert_int_eq(kmemblk_volume_rename(h, "a", "renamed"), 0);
	ck_assert_int_eq(kmemblk_volume_resize(h, "renamed", (1ull << 40) + PAGE, 0), 0);
	unit_write_to(v, 0, 8);
	unit_expect_in(v, 0, 8);
	unit_expect_in(v, block - 1, 7);
	kmemblk_volume_close(v);
	unit_expect_error(kmemblk_volume_resize(h, "renamed", PAGE, 0), EEXIST, "add --force");
	ck_assert_int_eq(kmemblk_volume_resize(h, "renamed", PAGE, KMEMBLK_VOLUME_FORCE), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0", 0), 0);
	AWAIT(unit_info(h).pages_retired == 0);
	ck_assert_uint_eq(unit_info(h).pages_used, 1);
	expect_sum();
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

START_TEST(test_growing_keeps_what_there_is_and_adds_zeroes)
{
	/* From one height to each other, with and without contents. */
	static const uint64_t sizes[] = { 1,	      511,	     512,	 513,
					  1 << 18,    (1 << 18) + 1, 1ull << 27, (1ull << 27) + 1,
					  1ull << 36, 1ull << 39 };
	const unsigned int n = sizeof(sizes) / sizeof(sizes[0]);
	struct kmemblk_volume *v, *empty;

	h = unit_make(8 * MIB);
	create("v", sizes[0] * PAGE);
	create("empty", sizes[0] * PAGE);
	v = unit_open_volume(h, "v");
	empty = unit_open_volume(h, "empty");
	unit_write_to(v, 0, 100);
	for (unsigned int i = 1; i < n; i++) {
		struct kmemblk_volume_info info;

		ck_assert_int_eq(kmemblk_volume_resize(h, "v", sizes[i] * PAGE, 0), 0);
		ck_assert_int_eq(kmemblk_volume_resize(h, "empty", sizes[i] * PAGE, 0), 0);
		kmemblk_volume_get_info(v, &info);
		ck_assert_uint_eq(info.blocks, sizes[i]);
		unit_expect_in(v, sizes[i] - 1, 0);
		unit_expect_in(empty, sizes[i] - 1, 0);
		unit_write_to(v, sizes[i] - 1, 100 + i);
		for (unsigned int j = 0; j <= i; j++)
			unit_expect_in(v, sizes[j] - 1, 100 + j);
		expect_sum();
	}
	unit_write_to(empty, 5, 5);
	ck_assert_uint_eq(unit_info(h).pages_used, n + 1);
	reopen();
	v = unit_open_volume(h, "v");
	for (unsigned int i = 0; i < n; i++)
		unit_expect_in(v, sizes[i] - 1, 100 + i);
	expect_sum();
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

START_TEST(test_what_was_cut_off_does_not_come_back)
{
	struct kmemblk_volume *v;
	uint64_t tables;

	h = unit_make(8 * MIB);
	tables = unit_info(h).pages_tables;
	create("v", 1ull << 40);
	v = unit_open_volume(h, "v");
	for (uint64_t block = 0; block < 600; block++)
		unit_write_to(v, block, block + 1);
	unit_write_to(v, 1ull << 20, 7);
	unit_write_to(v, (1ull << 28) - 1, 8);
	unit_expect_error(kmemblk_volume_resize(h, "v", PAGE, KMEMBLK_VOLUME_FORCE), EBUSY,
			  "is open");
	kmemblk_volume_close(v);
	unit_expect_error(kmemblk_volume_resize(h, "v", 1ull << 30, 0), EEXIST, "past the new end");
	ck_assert_int_eq(kmemblk_volume_resize(h, "v", 300 * PAGE, KMEMBLK_VOLUME_FORCE), 0);
	ck_assert_uint_eq(unit_info(h).pages_used, 300);
	/* Its record, a leaf, and what is above it, since the height stays. */
	ck_assert_uint_eq(unit_info(h).pages_tables, tables + 1 + 4);
	ck_assert_int_eq(kmemblk_volume_resize(h, "v", 1ull << 40, 0), 0);
	v = unit_open_volume(h, "v");
	for (uint64_t block = 0; block < 600; block++)
		unit_expect_in(v, block, block < 300 ? block + 1 : 0);
	unit_expect_in(v, 1ull << 20, 0);
	unit_expect_in(v, (1ull << 28) - 1, 0);
	expect_sum();
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

static bool cut_fails;

int __real_tree_cut(struct map *map, uint64_t blocks, struct pool *pool, struct tree_sums *sums);
int __wrap_tree_cut(struct map *map, uint64_t blocks, struct pool *pool, struct tree_sums *sums);

int __wrap_tree_cut(struct map *map, uint64_t blocks, struct pool *pool, struct tree_sums *sums)
{
	return cut_fails ? -EIO : __real_tree_cut(map, blocks, pool, sums);
}

/* It has its new size; what is past that stays until it can be cut, and does not come back. */
START_TEST(test_a_cut_that_fails_is_made_later)
{
	struct kmemblk *h = unit_make(32 * MIB);
	struct kmemblk_volume *v;

	ck_assert_int_eq(kmemblk_volume_create(h, "v", 1000 * PAGE, 0), 0);
	v = unit_open_volume(h, "v");
	unit_write_to(v, 0, 1);
	unit_write_to(v, 600, 2);
	kmemblk_volume_close(v);
	cut_fails = true;
	ck_assert_int_eq(kmemblk_volume_resize(h, "v", 10 * PAGE, KMEMBLK_VOLUME_FORCE), -EIO);
	/* It would show again. */
	ck_assert_int_eq(kmemblk_volume_resize(h, "v", 1000 * PAGE, 0), -EIO);
	v = unit_open_volume(h, "v");
	ck_assert_uint_eq(map_blocks(&v->map), 10);
	unit_expect_in(v, 0, 1);
	kmemblk_volume_close(v);
	cut_fails = false;
	ck_assert_int_eq(kmemblk_volume_resize(h, "v", 1000 * PAGE, 0), 0);
	v = unit_open_volume(h, "v");
	unit_expect_in(v, 0, 1);
	unit_expect_in(v, 600, 0);
	kmemblk_volume_close(v);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_prealloc)
{
	struct kmemblk_volume *v;
	uint64_t before;

	h = unit_make(8 * MIB);
	before = unit_info(h).pages_free;
	unit_expect_error(kmemblk_volume_create(h, "large", 1ull << 30, KMEMBLK_VOLUME_PREALLOC),
			  ENOSPC,
			  "for all blocks and tables 262657 pages must be reserved, and 2011 ");
	AWAIT(unit_info(h).pages_retired == 0);
	ck_assert_uint_eq(unit_info(h).pages_free, before);
	expect_names("kmem0* ");
	ck_assert_int_eq(kmemblk_volume_create(h, "v", 1000 * PAGE, KMEMBLK_VOLUME_PREALLOC), 0);
	ck_assert_uint_eq(unit_info(h).pages_used, 1000);
	/* The rest is used up; it needs none of it. */
	for (uint64_t block = 0;
	     kmemblk_write(unit_open_volume(h, "kmem0"), "x", 1, block * PAGE) == 0;)
		block++;
	v = unit_open_volume(h, "v");
	for (uint64_t block = 0; block < 1000; block++)
		unit_write_to(v, block, block + 1);
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------- */

/* Nothing is written by way of a map that lost a leaf: it would get another, which the first write finds there. */
START_TEST(test_a_map_that_is_damaged_meanwhile)
{
	struct kmemblk_volume *v;
	uint8_t *byte, bytes[PAGE];

	h = unit_make(32 * MIB);
	create("v", 1024 * PAGE);
	v = unit_open_volume(h, "v");
	unit_write_to(v, 600, 1);
	byte = (uint8_t *)map_table(&v->map, layout_entry_page(atomic_load(v->map.root)));
	kmemblk_volume_close(v);
	/* The second leaf's entry in the table above. */
	byte[8] ^= 1;
	ck_assert_int_eq(kmemblk_volume_open(h, "v", &v), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(kmemblk_error(), "volume v: its map has been damaged"));
	/* The others go on. */
	v = unit_open_volume(h, "kmem0");
	unit_write_to(v, 0, 2);
	kmemblk_volume_close(v);
	kmemblk_close(h);

	h = unit_open(KMEMBLK_OPEN_READONLY);
	v = unit_open_volume(h, "v");
	ck_assert_int_eq(kmemblk_read(v, bytes, PAGE, 600 * PAGE), -EIO);
	kmemblk_volume_close(v);
	kmemblk_close(h);
}
END_TEST

/* ---- beside requests ------------------------------------------------------------------------ */

static _Atomic bool stop;

/* Blocks that are far apart, so that tables are made all the time. */
static void *write_far(void *opaque)
{
	struct kmemblk_volume *v = opaque;
	uint64_t i = 0;

	while (!atomic_load(&stop) && i < 700) {
		uint64_t blocks = map_blocks(&v->map);

		unit_write_to(v, i * 7919 % blocks, i * 7919 % blocks + 1);
		unit_expect_in(v, i * 7919 % blocks, i * 7919 % blocks + 1);
		i++;
	}
	return NULL;
}

START_TEST(test_changes_beside_a_writer)
{
	struct kmemblk_volume *v, *other;
	uint64_t blocks = 100;
	pthread_t thread;

	h = unit_make(32 * MIB);
	create("v", blocks * PAGE);
	v = unit_open_volume(h, "v");
	pthread_create(&thread, NULL, write_far, v);
	for (unsigned int i = 0; i < 60; i++) {
		char name[16];

		snprintf(name, sizeof(name), "v%u", i);
		ck_assert_int_eq(kmemblk_volume_rename(h, i == 0 ? "v" : v->map.record.name, name),
				 0);
		blocks = blocks * 3 / 2 + 1 < 1ull << 38 ? blocks * 3 / 2 + 1 : blocks + 1;
		ck_assert_int_eq(kmemblk_volume_resize(h, name, blocks * PAGE, 0), 0);
		create("other", 1ull << 40);
		other = unit_open_volume(h, "other");
		unit_write_to(other, i, i);
		kmemblk_volume_close(other);
		ck_assert_int_eq(kmemblk_volume_delete(h, "other", 0), 0);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	expect_sum();
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

UNIT_MAIN("volumes", test_a_cut_that_fails_is_made_later, test_several_share_the_pages,
	  test_names_and_sizes_that_are_refused, test_directory_full,
	  test_several_pages_of_the_directory, test_which_is_the_default,
	  test_deleting_gives_all_back, test_a_full_device,
	  test_growing_keeps_what_there_is_and_adds_zeroes,
	  test_what_was_cut_off_does_not_come_back, test_prealloc,
	  test_a_map_that_is_damaged_meanwhile, test_changes_beside_a_writer)
