/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * changes.c - changes of volumes and snapshots beside each other, beside who opens and closes them, and beside the mover;
 * and so many of them that the epochs begin anew.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/audit.h"
#include "common/scale.h"
#include "io/volume.h"
#include "unit.h"

static struct kmemblk *h;
static _Atomic bool over;

static void expect_sound(void)
{
	char why[200];

	ck_assert_msg(audit(h, why, sizeof(why)), "%s", why);
}

/* True if a call did what it was to do, or was refused as it may be beside others. */
static bool may(int rc)
{
	return rc == 0 || rc == -EBUSY || rc == -ENOENT || rc == -EEXIST || rc == -ENOSPC;
}

static void expect_may(int rc)
{
	ck_assert_msg(may(rc), "%d: %s", rc, kmemblk_error());
}

/* Whoever is in a volume leaves it only when he is asked to, so that claims wait. */
static void *move(void *opaque)
{
	while (!atomic_load(&over))
		for (struct kmemblk_volume *v = volume_visit_next(h, -1); v != NULL;) {
			int number = (int)v->number;

			for (unsigned int i = 0; i < 1000 && !atomic_load(&v->leaving); i++)
				sched_yield();
			volume_leave(v);
			v = volume_visit_next(h, number);
		}
	return opaque;
}

static int count(void *opaque, const struct kmemblk_volume_info *info)
{
	*(unsigned int *)opaque += info->blocks > 0;
	return 0;
}

static void *look(void *opaque)
{
	static const char *const names[] = { "kmem0", "kmem0@a", "kmem0@b", "c" };

	for (unsigned int i = 0; !atomic_load(&over); i++) {
		struct kmemblk_volume *v;
		unsigned int all = 0;

		if (kmemblk_volume_open(h, names[i % 4], &v) == 0) {
			uint8_t bytes[PAGE];

			ck_assert_int_eq(kmemblk_read(v, bytes, PAGE, 0), 0);
			kmemblk_volume_close(v);
		}
		ck_assert_int_eq(kmemblk_volume_list(h, count, &all), 0);
		ck_assert(all > 0);
	}
	return opaque;
}

static void *go_back(void *opaque)
{
	while (!atomic_load(&over))
		expect_may(kmemblk_volume_rollback(h, "kmem0@a", KMEMBLK_VOLUME_FORCE));
	return opaque;
}

static void *delete_all(void *opaque)
{
	while (!atomic_load(&over)) {
		expect_may(kmemblk_volume_delete(h, "c", KMEMBLK_VOLUME_RECURSIVE));
		expect_may(kmemblk_volume_delete(h, "kmem0@a", 0));
		expect_may(kmemblk_volume_delete(h, "kmem0@b", 0));
	}
	return opaque;
}

static void make_and_write(unsigned int round)
{
	static const char *const names[] = { "kmem0@a", "kmem0@b" };
	struct kmemblk_volume *v;
	uint8_t bytes[PAGE];

	unit_fill(bytes, round + 1);
	if (kmemblk_volume_open(h, NULL, &v) == 0) {
		expect_may(kmemblk_write(v, bytes, PAGE, round % 3 * 600 * PAGE));
		kmemblk_volume_close(v);
	}
	expect_may(kmemblk_snapshot(h, &names[round % 2], 1, 0));
	expect_may(kmemblk_volume_clone(h, names[round % 2], "c", 0));
	expect_may(kmemblk_volume_resize(h, "kmem0", (2048 + round % 5 * 600) * PAGE,
					 KMEMBLK_VOLUME_FORCE));
}

START_TEST(test_changes_beside_each_other)
{
	static void *(*const bodies[])(void *) = { move, look, go_back, delete_all };
	pthread_t threads[4];

	h = unit_make(64 * MIB);
	for (unsigned int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, bodies[i], NULL), 0);
	for (unsigned int round = 0; round < scale_races(1000); round++)
		make_and_write(round);
	atomic_store(&over, true);
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	expect_sound();
	unit_close_clean(h);
}
END_TEST

#define LEAVES 16u

static void expect_leaf(struct kmemblk_volume *v, uint64_t leaf)
{
	uint8_t bytes[PAGE];

	ck_assert_int_eq(kmemblk_read(v, bytes, PAGE, leaf * 512 * PAGE), 0);
	ck_assert_msg(unit_is(bytes, leaf + 1), "leaf %u in epoch %llx", (unsigned int)leaf,
		      (unsigned long long)map_gate(&v->map) >> 1);
}

/* A snapshot and its deletion are an epoch each, and in each another leaf is read. */
static void pass_epochs(struct kmemblk_volume *v, uint64_t first, bool reading)
{
	static const char *const name = "kmem0@a";

	atomic_store(&v->map.gate, first << 1);
	for (uint64_t leaf = 0; leaf < LEAVES; leaf += 2) {
		ck_assert_msg(kmemblk_snapshot(h, &name, 1, 0) == 0, "%s", kmemblk_error());
		if (reading)
			expect_leaf(v, leaf);
		ck_assert_int_eq(kmemblk_volume_delete(h, name, 0), 0);
		if (reading)
			expect_leaf(v, leaf + 1);
	}
}

/* Words of long ago must not be taken for present ones, nor those that nothing was ever noted in. */
START_TEST(test_epochs_begin_anew)
{
	struct kmemblk_volume *v;
	uint8_t bytes[PAGE];

	h = unit_make(64 * MIB);
	ck_assert_int_eq(kmemblk_volume_open(h, NULL, &v), 0);
	for (uint64_t leaf = 0; leaf < LEAVES; leaf++) {
		unit_fill(bytes, leaf + 1);
		ck_assert_int_eq(kmemblk_write(v, bytes, PAGE, leaf * 512 * PAGE), 0);
	}
	pass_epochs(v, MAP_EPOCH_MASK - 4, false);
	pass_epochs(v, MAP_EPOCH_MASK - 4, true);
	expect_sound();
	kmemblk_volume_close(v);
	unit_close_clean(h);
}
END_TEST

/* ---- where there is no room ------------------------------------------------------------------ */

/* Write new blocks of a volume until it gets no more. */
static void fill_with(const char *name)
{
	struct kmemblk_volume *v;
	uint8_t bytes[PAGE];
	uint64_t block = 0;

	unit_fill(bytes, 1);
	ck_assert_int_eq(kmemblk_volume_open(h, name, &v), 0);
	while (kmemblk_write(v, bytes, PAGE, block * PAGE) == 0)
		block++;
	kmemblk_volume_close(v);
}

/* Below a table that a snapshot shares there may be none, and a trim there needs none. */
START_TEST(test_trim_of_holes_needs_no_page)
{
	static const char *const name = "kmem0@a";
	struct kmemblk_volume *v;
	uint8_t bytes[PAGE];

	h = unit_make(32 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "other", 64 * MIB, 0), 0);
	ck_assert_int_eq(kmemblk_volume_open(h, NULL, &v), 0);
	unit_fill(bytes, 1);
	ck_assert_int_eq(kmemblk_write(v, bytes, PAGE, 0), 0);
	ck_assert_int_eq(kmemblk_snapshot(h, &name, 1, 0), 0);
	fill_with("other");
	ck_assert_msg(kmemblk_trim(v, PAGE, 600 * PAGE) == 0, "%s", kmemblk_error());
	ck_assert_msg(kmemblk_zero(v, PAGE, 700 * PAGE, 0) == 0, "%s", kmemblk_error());
	ck_assert_msg(kmemblk_trim(v, 100 * PAGE, 0) == 0, "%s", kmemblk_error());
	kmemblk_volume_close(v);
	expect_sound();
	unit_close_clean(h);
}
END_TEST

START_TEST(test_refused_rollback_deletes_nothing)
{
	static const char *const names[] = { "kmem0@a", "kmem0@b" };
	struct kmemblk_volume *v;
	uint8_t bytes[PAGE];

	h = unit_make(32 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "other", 64 * MIB, 0), 0);
	ck_assert_int_eq(kmemblk_volume_open(h, NULL, &v), 0);
	unit_fill(bytes, 1);
	for (uint64_t block = 0; block < 2000; block++)
		ck_assert_int_eq(kmemblk_write(v, bytes, PAGE, block * PAGE), 0);
	ck_assert_int_eq(kmemblk_snapshot(h, &names[0], 1, 0), 0);
	ck_assert_int_eq(kmemblk_trim(v, 2000 * PAGE, 0), 0);
	ck_assert_int_eq(kmemblk_snapshot(h, &names[1], 1, 0), 0);
	kmemblk_volume_close(v);
	fill_with("other");
	unit_expect_error(kmemblk_volume_rollback(h, names[0], KMEMBLK_VOLUME_FORCE), ENOSPC,
			  "must be reserved");
	ck_assert_int_eq(kmemblk_volume_open(h, names[1], &v), 0);
	kmemblk_volume_close(v);
	expect_sound();
	unit_close_clean(h);
}
END_TEST

UNIT_MAIN("changes", test_changes_beside_each_other, test_epochs_begin_anew,
	  test_trim_of_holes_needs_no_page, test_refused_rollback_deletes_nothing)
