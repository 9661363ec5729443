/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * snapshots.c - a snapshot holds what its volume held, whatever becomes of the volume, of other snapshots, and of
 * the device; and its pages are freed when nobody needs them any more.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blocks.h"
#include "common/audit.h"
#include "io/volume.h"
#include "unit.h"

static struct kmemblk *h;

/* Nothing has leaked, and what is reserved is what the maps say. */
static void expect_sound(void)
{
	char why[200];

	ck_assert_msg(audit(h, why, sizeof(why)), "%s", why);
}

/* The same as the next open finds it. */
static void reopen(void)
{
	expect_sound();
	kmemblk_close(h);
	unit_expect_clean();
	h = unit_open(0);
	expect_sound();
}

START_TEST(test_holds_what_the_volume_held)
{
	struct kmemblk_volume *v, *s;

	h = unit_make(32 * MIB);
	v = unit_open_volume(h, "kmem0");
	unit_write_to(v, 0, 1);
	unit_write_to(v, 1, 2);
	unit_write_to(v, 600, 3);
	unit_take_snapshot(h, "kmem0@a");
	unit_write_to(v, 0, 4);
	ck_assert_int_eq(kmemblk_trim(v, PAGE, PAGE), 0);
	unit_write_to(v, 2, 5);
	s = unit_open_volume(h, "kmem0@a");
	for (int i = 0; i < 2; i++) {
		unit_expect_in(v, 0, 4);
		unit_expect_in(v, 1, 0);
		unit_expect_in(v, 2, 5);
		unit_expect_in(v, 600, 3);
		unit_expect_in(s, 0, 1);
		unit_expect_in(s, 1, 2);
		unit_expect_in(s, 2, 0);
		unit_expect_in(s, 600, 3);
		kmemblk_volume_close(v);
		kmemblk_volume_close(s);
		if (i == 0)
			reopen();
		v = unit_open_volume(h, "kmem0");
		s = unit_open_volume(h, "kmem0@a");
	}
	ck_assert_int_eq(kmemblk_trim(s, PAGE, 0), -EROFS);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@a", 0), -EBUSY);
	kmemblk_volume_close(s);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0", 0), -EBUSY);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@a", 0), 0);
	unit_expect_in(v, 0, 4);
	unit_expect_in(v, 600, 3);
	unit_write_to(v, 600, 6);
	unit_write_to(v, 0, 7);
	unit_expect_in(v, 600, 6);
	kmemblk_volume_close(v);
	reopen();
	kmemblk_close(h);
}
END_TEST

START_TEST(test_clone_and_rollback)
{
	struct kmemblk_volume *v, *c;

	h = unit_make(32 * MIB);
	v = unit_open_volume(h, "kmem0");
	unit_write_to(v, 0, 1);
	unit_write_to(v, 600, 2);
	unit_take_snapshot(h, "kmem0@a");
	unit_write_to(v, 0, 3);
	unit_take_snapshot(h, "kmem0@b");
	unit_write_to(v, 0, 4);
	ck_assert_int_eq(kmemblk_volume_clone(h, "kmem0@a", "c", 0), 0);
	c = unit_open_volume(h, "c");
	unit_expect_in(c, 0, 1);
	unit_expect_in(c, 600, 2);
	unit_write_to(c, 600, 5);
	unit_write_to(c, 1, 6);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@a", 0), -EBUSY);
	ck_assert_int_eq(kmemblk_volume_rollback(h, "kmem0@a", 0), -EBUSY);
	kmemblk_volume_close(v);
	ck_assert_int_eq(kmemblk_volume_rollback(h, "kmem0@a", 0), -EEXIST);
	ck_assert_msg(kmemblk_volume_rollback(h, "kmem0@b", 0) == 0, "%s", kmemblk_error());
	v = unit_open_volume(h, "kmem0");
	unit_expect_in(v, 0, 3);
	unit_expect_in(v, 600, 2);
	kmemblk_volume_close(v);
	kmemblk_volume_close(c);
	reopen();
	/* All younger ones can be deleted, or none is. */
	unit_take_snapshot(h, "kmem0@e");
	v = unit_open_volume(h, "kmem0@b");
	unit_expect_error(kmemblk_volume_rollback(h, "kmem0@a", KMEMBLK_VOLUME_FORCE), EBUSY,
			  "snapshot kmem0@b is open");
	kmemblk_volume_close(v);
	ck_assert_int_eq(kmemblk_volume_clone(h, "kmem0@b", "d", 0), 0);
	unit_expect_error(kmemblk_volume_rollback(h, "kmem0@a", KMEMBLK_VOLUME_FORCE), EBUSY,
			  "volume d was made from kmem0@b");
	kmemblk_volume_close(unit_open_volume(h, "kmem0@e"));
	ck_assert_int_eq(kmemblk_volume_delete(h, "d", 0), 0);
	ck_assert_int_eq(kmemblk_volume_rollback(h, "kmem0@a", KMEMBLK_VOLUME_FORCE), 0);
	v = unit_open_volume(h, "kmem0");
	unit_expect_in(v, 0, 1);
	kmemblk_volume_close(v);
	reopen();
	c = unit_open_volume(h, "c");
	unit_expect_in(c, 0, 1);
	unit_expect_in(c, 1, 6);
	unit_expect_in(c, 600, 5);
	kmemblk_volume_close(c);
	ck_assert_int_eq(kmemblk_volume_delete(h, "c", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@a", 0), 0);
	reopen();
	kmemblk_close(h);
}
END_TEST

/* ---- records that no call makes, and names ---------------------------------------------------- */

/* A field of the record of the only snapshot becomes another. */
static void change_record(unsigned int at, uint64_t value)
{
	uint64_t page = unit_peek_number(PAGE + 8, 8) & ((1ull << 39) - 1);

	kmemblk_close(h);
	unit_poke_number(page * PAGE + at, 8, value);
	unit_seal_record(page);
	h = unit_open(0);
}

static int expect_name(void *opaque, const struct kmemblk_volume_info *info)
{
	static const char *const names[] = { "other", "other@kmem0", "other@b" };
	unsigned int *i = opaque;

	ck_assert_uint_lt(*i, 3);
	ck_assert_str_eq(info->name, names[*i]);
	ck_assert_int_eq(info->is_default, *i == 0);
	(*i)++;
	return 0;
}

START_TEST(test_names)
{
	struct kmemblk_volume_info info;
	unsigned int listed = 0, probed = 0;
	struct kmemblk_volume *s;

	h = unit_make(32 * MIB);
	unit_take_snapshot(h, "kmem0@a");
	unit_take_snapshot(h, "kmem0@b");
	unit_expect_error(kmemblk_volume_rename(h, "kmem0@a", "kmem0@b"), EEXIST,
			  "there is a snapshot kmem0@b already");
	unit_expect_error(kmemblk_volume_rename(h, "kmem0@a", "b"), EINVAL,
			  "stays with its volume");
	ck_assert_int_eq(kmemblk_volume_rename(h, "kmem0@a", "kmem0@kmem0"), 0);
	ck_assert_int_eq(kmemblk_volume_rename(h, "kmem0", "other"), 0);
	s = unit_open_volume(h, "other@kmem0");
	kmemblk_volume_get_info(s, &info);
	ck_assert_str_eq(info.name, "other@kmem0");
	ck_assert_int_eq(kmemblk_volume_list(h, expect_name, &listed), 0);
	ck_assert_int_eq(kmemblk_probe_volumes(unit_device, expect_name, &probed), 0);
	ck_assert(listed == 3 && probed == 3);
	unit_expect_error(kmemblk_volume_delete(h, "other@kmem0", 0), EBUSY,
			  "snapshot other@kmem0 is open");
	kmemblk_volume_close(s);
	reopen();
	kmemblk_close(h);
}
END_TEST

/* A number that does not get larger would make of the device a damaged one. */
START_TEST(test_sequences_end)
{
	static const char *const name = "kmem0@b";

	h = unit_make(32 * MIB);
	unit_take_snapshot(h, "kmem0@a");
	change_record(152, UINT64_MAX);
	unit_expect_error(kmemblk_snapshot(h, &name, 1, 0), ENOSPC, "as many as can be counted");
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@a", 0), 0);
	unit_take_snapshot(h, "kmem0@b");
	reopen();
	kmemblk_close(h);
}
END_TEST

/* What a snapshot has past its end is not seen in what is made of it. */
START_TEST(test_snapshot_with_something_past_its_end)
{
	struct kmemblk_volume *v;

	h = unit_make(32 * MIB);
	v = unit_open_volume(h, "kmem0");
	unit_write_to(v, 5, 1);
	unit_write_to(v, 600, 2);
	kmemblk_volume_close(v);
	unit_take_snapshot(h, "kmem0@a");
	change_record(16, 100);
	ck_assert_int_eq(kmemblk_volume_clone(h, "kmem0@a", "clone", 0), 0);
	ck_assert_int_eq(kmemblk_volume_resize(h, "clone", 1000 * PAGE, 0), 0);
	v = unit_open_volume(h, "clone");
	unit_expect_in(v, 5, 1);
	unit_expect_in(v, 600, 0);
	kmemblk_volume_close(v);
	v = unit_open_volume(h, "kmem0");
	unit_expect_in(v, 600, 2);
	kmemblk_volume_close(v);
	ck_assert_int_eq(kmemblk_volume_rollback(h, "kmem0@a", 0), 0);
	ck_assert_int_eq(kmemblk_volume_resize(h, "kmem0", 1000 * PAGE, 0), 0);
	v = unit_open_volume(h, "kmem0");
	unit_expect_in(v, 5, 1);
	unit_expect_in(v, 600, 0);
	kmemblk_volume_close(v);
	reopen();
	kmemblk_close(h);
}
END_TEST

/* ---- at random ------------------------------------------------------------------------------ */

#define BLOCKS	  1400u
#define SNAPSHOTS 6u

static uint64_t held[SNAPSHOTS + 1][BLOCKS];
static bool there[SNAPSHOTS];
static unsigned int random_state;

static unsigned int any(unsigned int limit)
{
	random_state = random_state * 1103515245u + 12345u;
	return (random_state >> 8) % limit;
}

/* Near each other, and far apart. */
static uint64_t any_block(void)
{
	return any(3) * 512 + any(any(2) ? 5 : 376);
}

static void change_something(struct kmemblk_volume *v, uint64_t *number)
{
	uint64_t block = any_block(), n = 1 + any(4);

	if (block + n > BLOCKS)
		n = BLOCKS - block;
	switch (any(8)) {
	case 0:
		block = any(3) * 512;
		n = block == 1024 ? BLOCKS - 1024 : 512;
		/* fall through */
	case 1:
		ck_assert_int_eq(kmemblk_trim(v, n * PAGE, block * PAGE), 0);
		memset(&held[SNAPSHOTS][block], 0, n * sizeof(held[0][0]));
		break;
	default:
		for (uint64_t i = 0; i < n; i++) {
			unit_write_to(v, block + i, ++*number);
			held[SNAPSHOTS][block + i] = *number;
		}
	}
}

/* Smaller for a moment, with nobody in it. */
static void cut_and_grow(void)
{
	uint64_t blocks = 1 + any(BLOCKS - 1);

	ck_assert_msg(kmemblk_volume_resize(h, "kmem0", blocks * PAGE, KMEMBLK_VOLUME_FORCE) == 0,
		      "%s", kmemblk_error());
	memset(&held[SNAPSHOTS][blocks], 0, (BLOCKS - blocks) * sizeof(held[0][0]));
	ck_assert_int_eq(kmemblk_volume_resize(h, "kmem0", BLOCKS * PAGE, 0), 0);
}

static void compare_all(struct kmemblk_volume *v)
{
	char name[24];

	for (uint64_t b = 0; b < BLOCKS; b++)
		unit_expect_in(v, b, held[SNAPSHOTS][b]);
	for (unsigned int i = 0; i < SNAPSHOTS; i++) {
		struct kmemblk_volume *s;

		if (!there[i])
			continue;
		snprintf(name, sizeof(name), "kmem0@s%u", i);
		s = unit_open_volume(h, name);
		for (uint64_t b = 0; b < BLOCKS; b++)
			unit_expect_in(s, b, held[i][b]);
		kmemblk_volume_close(s);
	}
}

static void change_snapshot(void)
{
	unsigned int i = any(SNAPSHOTS);
	char name[24];

	snprintf(name, sizeof(name), "kmem0@s%u", i);
	if (there[i]) {
		ck_assert_msg(kmemblk_volume_delete(h, name, 0) == 0, "%s", kmemblk_error());
	} else {
		unit_take_snapshot(h, name);
		memcpy(held[i], held[SNAPSHOTS], sizeof(held[i]));
	}
	there[i] = !there[i];
}

static void try_at_random(unsigned int seed)
{
	struct kmemblk_volume *v;
	uint64_t number = 0;

	random_state = seed;
	memset(held, 0, sizeof(held));
	memset(there, 0, sizeof(there));
	h = unit_make(64 * MIB);
	ck_assert_int_eq(kmemblk_volume_resize(h, "kmem0", BLOCKS * PAGE, KMEMBLK_VOLUME_FORCE), 0);
	v = unit_open_volume(h, "kmem0");
	for (unsigned int i = 0; i < 150; i++) {
		for (unsigned int j = any(12); j > 0; j--)
			change_something(v, &number);
		change_snapshot();
		if (any(10) > 0)
			continue;
		compare_all(v);
		kmemblk_volume_close(v);
		if (any(2) > 0)
			reopen();
		if (any(3) == 0)
			cut_and_grow();
		v = unit_open_volume(h, "kmem0");
		compare_all(v);
	}
	compare_all(v);
	kmemblk_volume_close(v);
	reopen();
	kmemblk_close(h);
	unlink(unit_device);
}

START_TEST(test_at_random)
{
	for (unsigned int seed = 1; seed <= scale(8); seed++)
		try_at_random(seed);
}
END_TEST

/* ---- beside writers ------------------------------------------------------------------------- */

#define WRITERS 4u
#define OWN	48u

/* A writer's blocks, of which each leaf has some of each writer's. */
struct writer {
	struct kmemblk_volume *v;
	unsigned int number;
	_Atomic uint64_t begun, done; /* operations */
};

static _Atomic bool stop;

static uint64_t block_of(const struct writer *w, unsigned int i)
{
	return (uint64_t)(i % 3) * 512 + w->number * OWN + i / 3;
}

/* What operation `i` of a writer does: to which of its blocks; true: it is a trim. */
static bool operation(uint64_t i, unsigned int *which)
{
	uint64_t mixed = i * 0x9e3779b97f4a7c15u;

	*which = (unsigned int)(mixed >> 40) % OWN;
	return (mixed >> 32) % 5 == 0;
}

static void *write_on(void *opaque)
{
	struct writer *w = opaque;
	unsigned int which;

	for (uint64_t i = 1; !atomic_load(&stop); i++) {
		atomic_store(&w->begun, i);
		if (operation(i, &which))
			ck_assert_int_eq(kmemblk_trim(w->v, PAGE, block_of(w, which) * PAGE), 0);
		else
			unit_write_to(w->v, block_of(w, which), i * WRITERS + w->number);
		atomic_store(&w->done, i);
	}
	return NULL;
}

/* What a view has of a writer's blocks is what they were after some operation of [from, to]. */
static void expect_instant(struct kmemblk_volume *s, const struct writer *w, uint64_t from,
			   uint64_t to)
{
	uint64_t state[OWN] = { 0 };
	static uint8_t has[OWN][PAGE];
	unsigned int which;

	for (unsigned int i = 0; i < OWN; i++)
		ck_assert_int_eq(kmemblk_read(s, has[i], PAGE, block_of(w, i) * PAGE), 0);
	for (uint64_t op = 0; op <= to; op++) {
		unsigned int i = 0;

		if (op > 0) {
			bool trimmed = operation(op, &which);

			state[which] = trimmed ? 0 : op * WRITERS + w->number;
		}
		if (op < from)
			continue;
		while (i < OWN &&
		       (state[i] == 0 ? unit_is_zero(has[i], PAGE) : unit_is(has[i], state[i])))
			i++;
		if (i == OWN)
			return;
	}
	ck_abort_msg("the snapshot is of no instant between %llu and %llu of writer %u",
		     (unsigned long long)from, (unsigned long long)to, w->number);
}

START_TEST(test_is_one_instant_of_each_writer)
{
	uint64_t rounds = scale(200);
	struct writer writers[WRITERS] = { { 0 } };
	pthread_t threads[WRITERS];
	char names[4][24];

	h = unit_make(64 * MIB);
	for (unsigned int t = 0; t < WRITERS; t++) {
		writers[t].v = unit_open_volume(h, "kmem0");
		writers[t].number = t;
		pthread_create(&threads[t], NULL, write_on, &writers[t]);
	}
	for (uint64_t round = 0; round < rounds; round++) {
		uint64_t from[WRITERS], to[WRITERS];
		struct kmemblk_volume *s;
		char *name = names[round % 4];

		if (round >= 4)
			ck_assert_msg(kmemblk_volume_delete(h, name, 0) == 0, "%s",
				      kmemblk_error());
		snprintf(name, sizeof(names[0]), "kmem0@s%llu", (unsigned long long)round);
		for (unsigned int t = 0; t < WRITERS; t++)
			from[t] = atomic_load(&writers[t].done);
		unit_take_snapshot(h, name);
		for (unsigned int t = 0; t < WRITERS; t++)
			to[t] = atomic_load(&writers[t].begun);
		s = unit_open_volume(h, name);
		for (unsigned int t = 0; t < WRITERS; t++)
			expect_instant(s, &writers[t], from[t], to[t]);
		kmemblk_volume_close(s);
	}
	atomic_store(&stop, true);
	for (unsigned int t = 0; t < WRITERS; t++) {
		uint64_t done;

		pthread_join(threads[t], NULL);
		done = atomic_load(&writers[t].done);
		expect_instant(writers[t].v, &writers[t], done, done);
		kmemblk_volume_close(writers[t].v);
	}
	reopen();
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("snapshots", test_holds_what_the_volume_held, test_clone_and_rollback, test_names,
	  test_sequences_end, test_snapshot_with_something_past_its_end, test_at_random,
	  test_is_one_instant_of_each_writer)
