/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * collect.c - leaves in which no block is left do not stand in the way of new blocks, of volumes or snapshots.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/audit.h"
#include "common/scale.h"
#include "unit.h"
#include "blocks.h"

#define LEAF 512ull /* blocks */

static struct kmemblk *h;
static struct kmemblk_volume *wide;

static void expect_sound(void)
{
	char why[200];

	ck_assert_msg(audit(h, why, sizeof(why)), "%s", why);
}

static void trim(struct kmemblk_volume *v, uint64_t block)
{
	ck_assert_msg(kmemblk_trim(v, PAGE, block * PAGE) == 0, "%s", kmemblk_error());
}

/* A volume of 1 TiB on a device of 1000 pages. */
static void make_wide(void)
{
	h = unit_make(1000 * PAGE);
	ck_assert_int_eq(kmemblk_volume_create(h, "wide", 1ull << 40, 0), 0);
	wide = unit_open_volume(h, "wide");
}

static void open_again(void)
{
	kmemblk_volume_close(wide);
	unit_close_clean(h);
	h = unit_open(0);
	wide = unit_open_volume(h, "wide");
	expect_sound();
}

/* Write a block in so many leaves, and trim it. */
static void roam(uint64_t first, uint64_t n)
{
	for (uint64_t leaf = first; leaf < first + n; leaf++) {
		unit_write_to(wide, leaf * LEAF, leaf + 1);
		trim(wide, leaf * LEAF);
	}
}

/* Write until there is no page; how many blocks that were. */
static uint64_t fill(uint64_t first)
{
	uint8_t bytes[PAGE];
	uint64_t n = 0;
	int rc = 0;

	for (; rc == 0; n++) {
		unit_fill(bytes, n + 1);
		rc = kmemblk_write(wide, bytes, PAGE, (first + n) * PAGE);
	}
	ck_assert_int_eq(rc, -ENOSPC);
	return n - 1;
}

START_TEST(test_who_roams_finds_room)
{
	make_wide();
	roam(0, 5000);
	expect_sound();
	unit_write_to(wide, 7, 77);
	roam(1, 2000);
	unit_expect_in(wide, 7, 77);
	unit_expect_in(wide, 1000 * LEAF, 0);
	expect_sound();
	open_again();
	unit_expect_in(wide, 7, 77);
	kmemblk_volume_close(wide);
	unit_close_clean(h);
}
END_TEST

/* As many blocks have room as if nothing had been there; those that share leaves with them stay. */
START_TEST(test_all_of_them_are_given_up)
{
	uint64_t most, leaf;

	make_wide();
	most = fill(0);
	ck_assert_int_eq(kmemblk_trim(wide, 1ull << 40, 0), 0);
	for (unsigned int turn = 0; turn < 2; turn++) {
		for (leaf = 0; leaf < 400; leaf++)
			unit_write_to(wide, leaf * LEAF, leaf + 1);
		for (leaf = 0; leaf < 400; leaf++)
			trim(wide, leaf * LEAF);
		/* The second time nobody knows which they are. */
		if (turn == 1)
			open_again();
		ck_assert_uint_ge(fill(0), most);
		for (uint64_t i = 0; i < most; i++)
			unit_expect_in(wide, i, i + 1);
		expect_sound();
		ck_assert_int_eq(kmemblk_trim(wide, 1ull << 40, 0), 0);
	}
	kmemblk_volume_close(wide);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_parts_and_zeroes_find_room)
{
	make_wide();
	for (uint64_t leaf = 0; leaf < 5000; leaf++) {
		ck_assert_int_eq(kmemblk_write(wide, "x", 1, leaf * LEAF * PAGE + 5), 0);
		trim(wide, leaf * LEAF);
		ck_assert_int_eq(kmemblk_zero(wide, PAGE, (leaf * LEAF + 1) * PAGE,
					      KMEMBLK_ZERO_NO_HOLE),
				 0);
		trim(wide, leaf * LEAF + 1);
	}
	expect_sound();
	kmemblk_volume_close(wide);
	unit_close_clean(h);
}
END_TEST

/* Changes of views find it, also for volumes that nobody has open. */
START_TEST(test_changes_find_room)
{
	char name[32];

	make_wide();
	for (uint64_t leaf = 0; leaf < 900; leaf++)
		unit_write_to(wide, leaf * LEAF % (900 * LEAF), 1), trim(wide, leaf * LEAF);
	kmemblk_volume_close(wide);
	for (unsigned int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		ck_assert_msg(kmemblk_volume_create(h, name, PAGE, 0) == 0, "%u: %s", i,
			      kmemblk_error());
	}
	expect_sound();
	unit_close_clean(h);
}
END_TEST

/* What a snapshot has stays, beside leaves of the volume's own that are given up. */
START_TEST(test_snapshots_keep_theirs)
{
	struct kmemblk_volume *kept;

	make_wide();
	for (uint64_t leaf = 0; leaf < 100; leaf++)
		unit_write_to(wide, leaf * LEAF, leaf + 1);
	unit_take_snapshot(h, "wide@kept");
	/* Copied, since only a part is trimmed. */
	for (uint64_t leaf = 0; leaf < 100; leaf++)
		trim(wide, leaf * LEAF);
	expect_sound();
	roam(200, 3000);
	expect_sound();
	kept = unit_open_volume(h, "wide@kept");
	for (uint64_t leaf = 0; leaf < 100; leaf++) {
		unit_expect_in(kept, leaf * LEAF, leaf + 1);
		unit_expect_in(wide, leaf * LEAF, 0);
	}
	kmemblk_volume_close(kept);
	open_again();
	ck_assert_int_eq(kmemblk_volume_delete(h, "wide@kept", 0), 0);
	expect_sound();
	roam(4000, 3000);
	kmemblk_volume_close(wide);
	unit_close_clean(h);
}
END_TEST

/* ---- beside each other ---------------------------------------------------------------------- */

#define WRITERS 4u

static uint64_t rounds;

/* Each has leaves of its own, one of which keeps its block. */
static void *wander(void *opaque)
{
	uint64_t mine = (uint64_t)(uintptr_t)opaque, keep = mine * LEAF + 9;

	unit_write_to(wide, keep, mine + 1);
	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t block = (WRITERS * (i % 1000) + mine) * LEAF;

		unit_write_to(wide, block, i + 1);
		unit_expect_in(wide, block, i + 1);
		trim(wide, block);
		unit_expect_in(wide, block, 0);
		unit_expect_in(wide, keep, mine + 1);
	}
	return NULL;
}

/* The device has room for one block a writer, and a few leaves. */
START_TEST(test_writers_beside_each_other)
{
	pthread_t threads[WRITERS];

	rounds = scale(4000);
	make_wide();
	for (uintptr_t i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, wander, (void *)i), 0);
	for (unsigned int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	expect_sound();
	for (uint64_t i = 0; i < WRITERS; i++)
		unit_expect_in(wide, i * LEAF + 9, i + 1);
	kmemblk_volume_close(wide);
	unit_close_clean(h);
}
END_TEST

UNIT_MAIN("collect", test_who_roams_finds_room, test_all_of_them_are_given_up,
	  test_parts_and_zeroes_find_room, test_changes_find_room, test_snapshots_keep_theirs,
	  test_writers_beside_each_other)
