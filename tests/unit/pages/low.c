/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * low.c - tables lie together at the low end of the device, and blocks do not lie there, so that no table stands
 * in the way of a loan.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "io/volume.h"
#include "pages/low.h"
#include "pages/reserve.h"
#include "unit.h"

static struct kmemblk *h;

static struct kmemblk_volume *open_volume(const char *name)
{
	struct kmemblk_volume *v;

	ck_assert_msg(kmemblk_volume_open(h, name, &v) == 0, "%s", kmemblk_error());
	return v;
}

static void write_to(struct kmemblk_volume *v, uint64_t block)
{
	uint8_t bytes[PAGE];

	unit_fill(bytes, block);
	ck_assert_msg(kmemblk_write(v, bytes, PAGE, block * PAGE) == 0, "%s", kmemblk_error());
}

/* While a table's page is given storage, nobody else finds room that the table is about to take. */
static int64_t room;
static unsigned int looked;

int __real_device_allocate(const struct device *device, uint64_t offset, uint64_t length);
int __wrap_device_allocate(const struct device *device, uint64_t offset, uint64_t length);

int __wrap_device_allocate(const struct device *device, uint64_t offset, uint64_t length)
{
	if (h != NULL && device == &h->device && offset >> LAYOUT_PAGE_SHIFT < h->pool.low.end) {
		pthread_mutex_lock(&h->pool.lock);
		if (room != 0)
			ck_assert_int_eq(pool_room_locked(&h->pool), room);
		pthread_mutex_unlock(&h->pool.lock);
		looked++;
	}
	return __real_device_allocate(device, offset, length);
}

START_TEST(test_storage_for_a_table_is_no_room_for_a_block)
{
	struct kmemblk_volume *v;

	h = unit_make(16 * MIB);
	v = open_volume(NULL);
	room = pool_room_locked(&h->pool);
	write_to(v, 0);
	ck_assert_uint_gt(looked, 0);
	kmemblk_volume_close(v);
	kmemblk_close(h);
	h = NULL;
}
END_TEST

/* Every `step`-th block; its page, and that of its leaf, is where it belongs. */
static void write_and_look(struct kmemblk_volume *v, uint64_t step)
{
	for (uint64_t block = 0; block < v->map.record.blocks; block += step) {
		write_to(v, block);
		ck_assert_uint_ge(map_load(&v->map, block), h->pool.low.end);
		ck_assert_uint_lt(map_leaf_page(&v->map, block), h->pool.low.end);
	}
}

START_TEST(test_a_disk_that_is_filled)
{
	struct kmemblk_volume *v;

	h = unit_make(16 * MIB);
	v = open_volume(NULL);
	ck_assert_uint_eq(h->pool.low.end - h->pool.first,
			  1 + record_all_tables(v->map.record.blocks));
	write_and_look(v, 1);
	/* All of it is in use, and every block can still be overwritten. */
	ck_assert_uint_eq(h->pool.low.free, 0);
	write_and_look(v, 1);
	kmemblk_volume_close(v);
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

/* Tables that were made before the device was opened, too. */
START_TEST(test_a_volume_that_is_deleted)
{
	struct kmemblk_volume *v;
	uint64_t free;

	h = unit_make(16 * MIB);
	free = h->pool.low.free;
	ck_assert_int_eq(kmemblk_volume_create(h, "v", 4 * MIB, 0), 0);
	v = open_volume("v");
	write_and_look(v, 512);
	kmemblk_volume_close(v);
	kmemblk_close(h);
	h = unit_open(0);
	for (unsigned int i = 0; i < 50; i++) {
		ck_assert_int_eq(kmemblk_volume_delete(h, "v", 0), 0);
		ck_assert_uint_eq(h->pool.low.free, free);
		ck_assert_int_eq(kmemblk_volume_create(h, "v", 4 * MIB, 0), 0);
		v = open_volume("v");
		write_and_look(v, 512);
		kmemblk_volume_close(v);
	}
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

/* Who makes the same table at the same time takes a page too, and the last of them one elsewhere. */
START_TEST(test_a_table_elsewhere_costs_no_block)
{
	struct kmemblk_volume *v;
	uint64_t taken[64];
	unsigned int n = 0;

	h = unit_make(16 * MIB);
	v = open_volume(NULL);
	pthread_mutex_lock(&h->pool.lock);
	while (low_take_locked(&h->pool, &taken[n]))
		n++;
	pthread_mutex_unlock(&h->pool.lock);
	/* Counted as others' tables until they are put back. */
	reserve_unmap_begin(&h->pool);
	write_to(v, 0);
	ck_assert_uint_ge(map_leaf_page(&v->map, 0), h->pool.low.end);
	while (n > 0)
		pool_put_table(&h->pool, taken[--n]);
	reserve_unmap_end(&h->pool, 0);
	for (uint64_t block = 0; block < v->map.record.blocks; block++)
		write_to(v, block);
	for (uint64_t block = 0; block < v->map.record.blocks; block++)
		write_to(v, block);
	kmemblk_volume_close(v);
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

/* Each new record is on the one page that is spare, and the old one on the low end. */
START_TEST(test_renamed_on_a_full_device)
{
	struct kmemblk_format_options options = { .create_size = 4 * MIB, .spare_pages = 1 };
	struct kmemblk_volume *v;
	char from[16] = "kmem0", to[16];

	unit_format_with(&options);
	h = unit_open(0);
	v = open_volume(NULL);
	for (unsigned int i = 0; i < 5; i++) {
		for (uint64_t block = 0; block < v->map.record.blocks; block++)
			write_to(v, block);
		snprintf(to, sizeof(to), "v%u", i);
		ck_assert_msg(kmemblk_volume_rename(h, i == 0 ? v->map.record.name : from, to) == 0,
			      "%s", kmemblk_error());
		memcpy(from, to, sizeof(to));
	}
	kmemblk_volume_close(v);
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

/* Once the low end is full, they take what blocks leave, as far as the spare. */
START_TEST(test_more_tables_than_there_is_room_for)
{
	struct kmemblk_volume *v;
	struct kmemblk_info info;
	uint8_t bytes[PAGE];
	uint64_t written = 0;

	h = unit_make(4 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "v", 8ull << 30, 0), 0);
	v = open_volume("v");
	unit_fill(bytes, 1);
	while (kmemblk_write(v, bytes, PAGE, written * 512 * PAGE) == 0)
		written++;
	info = unit_info(h);
	ck_assert_uint_eq(info.pages_for_tables, 0);
	ck_assert_uint_le(info.pages_free, info.pages_spare + 1);
	for (uint64_t i = 0; i < written; i++)
		write_to(v, i * 512);
	kmemblk_volume_close(v);
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

/* What a full disk has there is its own, also after another open; and what it leaves is blocks' again. */
START_TEST(test_a_preallocated_disk)
{
	struct kmemblk_volume *v;

	unit_format(16 * MIB, KMEMBLK_FORMAT_PREALLOC);
	h = unit_open(0);
	ck_assert_uint_eq(h->pool.low.free, 0);
	v = open_volume(NULL);
	write_and_look(v, 1);
	kmemblk_volume_close(v);
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

UNIT_MAIN("low", test_storage_for_a_table_is_no_room_for_a_block, test_a_disk_that_is_filled,
	  test_a_volume_that_is_deleted, test_a_table_elsewhere_costs_no_block,
	  test_renamed_on_a_full_device, test_more_tables_than_there_is_room_for,
	  test_a_preallocated_disk)
