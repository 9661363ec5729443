/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * diff.c - every block that differs between two views is told, and what they share costs nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blocks.h"
#include "io/volume.h"
#include "ranges.h"
#include "unit.h"

static struct kmemblk *h;

/* Sections that were entered: what a call has cost. */
static _Atomic uint64_t sections;

void __real_grace_enter(void);
void __wrap_grace_enter(void);
void __wrap_grace_enter(void)
{
	atomic_fetch_add(&sections, 1);
	__real_grace_enter();
}

static void resize(const char *name, uint64_t blocks)
{
	ck_assert_msg(kmemblk_volume_resize(h, name, blocks * PAGE, KMEMBLK_VOLUME_FORCE) == 0,
		      "%s", kmemblk_error());
}

/* ---- what is told, as text ------------------------------------------------------------------ */

struct telling {
	struct ranges ranges;
	char text[2000];
	unsigned int stop_after;
	int answer; /* of the last one before stopping */
};

static int tell(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct telling *t = opaque;
	size_t at = strlen(t->text);

	ranges_expect_next(&t->ranges, offset, count, flags);
	snprintf(t->text + at, sizeof(t->text) - at, "%s%s%llu+%llu", at > 0 ? " " : "",
		 flags & KMEMBLK_EXTENT_HOLE ? "z" : "", (unsigned long long)(offset / PAGE),
		 (unsigned long long)(count / PAGE));
	return t->ranges.calls == t->stop_after ? t->answer : 0;
}

/* Blocks, as first+count, those of zeroes with a z before them. */
static void expect_diff(struct kmemblk_volume *from, struct kmemblk_volume *to, const char *text)
{
	struct telling t = { .stop_after = 0 };

	ck_assert_msg(kmemblk_diff(from, to, tell, &t) == 0, "%s", kmemblk_error());
	ck_assert_str_eq(t.text, text);
}

static void expect_named_diff(const char *from, const char *to, const char *text)
{
	struct kmemblk_volume *f = unit_open_volume(h, from), *t = unit_open_volume(h, to);

	expect_diff(f, t, text);
	kmemblk_volume_close(f);
	kmemblk_volume_close(t);
}

START_TEST(test_tells_what_changed)
{
	struct kmemblk_volume *v, *a, *b;

	h = unit_make(64 * MIB);
	v = unit_open_volume(h, "kmem0");
	for (uint64_t block = 500; block < 600; block++)
		unit_write_to(v, block, block);
	unit_write_to(v, 3000, 1);
	unit_take_snapshot(h, "kmem0@a");
	a = unit_open_volume(h, "kmem0@a");
	expect_diff(a, v, "");
	expect_diff(a, a, "");
	expect_diff(NULL, a, "500+100 3000+1");
	/* Across two leaves, in no order; a hole in the midst; a leaf that was not there. */
	for (uint64_t block = 520; block >= 505; block--)
		unit_write_to(v, block, 7000 + block);
	ck_assert_int_eq(kmemblk_trim(v, 2 * PAGE, 510 * PAGE), 0);
	ck_assert_int_eq(kmemblk_zero(v, PAGE, 521 * PAGE, KMEMBLK_ZERO_NO_HOLE), 0);
	ck_assert_int_eq(kmemblk_trim(v, PAGE, 3000 * PAGE), 0);
	/* Nothing was there, and nothing is. */
	ck_assert_int_eq(kmemblk_trim(v, PAGE, 3001 * PAGE), 0);
	unit_write_to(v, 5000, 2);
	unit_take_snapshot(h, "kmem0@b");
	b = unit_open_volume(h, "kmem0@b");
	expect_diff(a, b, "505+5 z510+2 512+10 z3000+1 5000+1");
	expect_diff(a, v, "505+5 z510+2 512+10 z3000+1 5000+1");
	expect_diff(b, a, "505+17 3000+1 z5000+1");
	unit_write_to(v, 5000, 3);
	expect_diff(b, v, "5000+1");
	kmemblk_volume_close(a);
	kmemblk_volume_close(b);
	kmemblk_volume_close(v);
	kmemblk_close(h);
	/* A handle that is not started, and one that only reads. */
	for (unsigned int flags = 0; flags < 2; flags++) {
		ck_assert_int_eq(kmemblk_open(unit_device, flags ? KMEMBLK_OPEN_READONLY : 0, &h),
				 0);
		expect_named_diff("kmem0@a", "kmem0@b", "505+5 z510+2 512+10 z3000+1 5000+1");
		expect_named_diff("kmem0@b", "kmem0", "5000+1");
		kmemblk_close(h);
	}
}
END_TEST

START_TEST(test_callback_stops_or_fails)
{
	struct telling t = { .stop_after = 2, .answer = 1 };
	struct kmemblk_volume *v;

	h = unit_make(64 * MIB);
	v = unit_open_volume(h, "kmem0");
	for (uint64_t block = 1; block < 10; block += 2)
		unit_write_to(v, block, block);
	ck_assert_int_eq(kmemblk_diff(NULL, v, tell, &t), 0);
	ck_assert_str_eq(t.text, "1+1 3+1");
	/* The last one counts, too. */
	t = (struct telling){ .stop_after = 5, .answer = -ENOTBLK };
	ck_assert_int_eq(kmemblk_diff(NULL, v, tell, &t), -ENOTBLK);
	ck_assert_uint_eq(t.ranges.calls, 5);
	kmemblk_volume_close(v);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_refuses_what_has_no_common_origin)
{
	struct kmemblk_volume *v, *w, *apart;
	struct telling t = { .stop_after = 0 };
	struct kmemblk *other;

	h = unit_make(64 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "w", MIB, 0), 0);
	unit_take_snapshot(h, "w@a");
	v = unit_open_volume(h, "kmem0");
	w = unit_open_volume(h, "w@a");
	unit_write_to(v, 0, 1);
	unit_expect_error(kmemblk_diff(w, v, tell, &t), EINVAL,
			  "w@a and kmem0 have nothing in common");
	kmemblk_volume_close(v);
	kmemblk_volume_close(w);
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	ck_assert_int_eq(kmemblk_open(unit_device, KMEMBLK_OPEN_READONLY, &other), 0);
	v = unit_open_volume(h, "kmem0");
	ck_assert_int_eq(kmemblk_volume_open(other, "kmem0", &apart), 0);
	unit_expect_error(kmemblk_diff(apart, v, tell, &t), EINVAL, "opened apart");
	ck_assert_uint_eq(t.ranges.calls, 0);
	kmemblk_volume_close(apart);
	kmemblk_close(other);
	kmemblk_close(h);
}
END_TEST

/* ---- sizes and heights ---------------------------------------------------------------------- */

#define HIGH 300000u /* blocks, for a map of height 3 */

START_TEST(test_sizes_and_heights_differ)
{
	struct kmemblk_volume *v;

	h = unit_make(64 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "v", 300 * PAGE, 0), 0);
	v = unit_open_volume(h, "v");
	for (uint64_t block = 90; block < 110; block++)
		unit_write_to(v, block, block);
	unit_take_snapshot(h, "v@1");
	/* Higher, while it is open. */
	resize("v", 1400);
	unit_write_to(v, 10, 1);
	unit_write_to(v, 1399, 2);
	unit_take_snapshot(h, "v@2");
	resize("v", HIGH);
	ck_assert_int_eq(kmemblk_trim(v, PAGE, 100 * PAGE), 0);
	unit_write_to(v, 800, 3);
	unit_write_to(v, HIGH - 1, 4);
	unit_take_snapshot(h, "v@3");
	kmemblk_volume_close(v);
	expect_named_diff("v@1", "v@2", "10+1 1399+1");
	expect_named_diff("v@2", "v@3", "z100+1 800+1 299999+1");
	expect_named_diff("v@1", "v@3", "10+1 z100+1 800+1 1399+1 299999+1");
	/* Nothing past the end of the smaller. */
	expect_named_diff("v@3", "v@2", "100+1 z800+1");
	expect_named_diff("v@3", "v@1", "z10+1 100+1");
	/* As high as before, and less in it. */
	resize("v", 100);
	unit_take_snapshot(h, "v@4");
	expect_named_diff("v@3", "v@4", "");
	expect_named_diff("v@1", "v@4", "10+1");
	expect_named_diff("v@4", "v@3", "101+9 800+1 1399+1 299999+1");
	expect_named_diff("v@4", "v@1", "z10+1 100+10");
	/* What was cut off reads as zeroes when it is there again. */
	resize("v", 1400);
	expect_named_diff("v@2", "v", "z100+10 z1399+1");
	expect_named_diff("v@4", "v", "");
	/* A clone of what is less high, beside what is higher. */
	ck_assert_int_eq(kmemblk_volume_clone(h, "v@1", "c", 0), 0);
	resize("c", 2000);
	v = unit_open_volume(h, "c");
	unit_write_to(v, 95, 5);
	unit_write_to(v, 1999, 6);
	kmemblk_volume_close(v);
	expect_named_diff("v@1", "c", "95+1 1999+1");
	expect_named_diff("c", "v@3", "10+1 95+1 z100+1 800+1 1399+1 z1999+1 299999+1");
	kmemblk_close(h);
}
END_TEST

START_TEST(test_costs_what_changed)
{
	struct kmemblk_volume *v, *a, *b;
	uint64_t leaves = 600, apart = (1ull << 28) / leaves, before;

	h = unit_make(64 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "v", 1ull << 40, 0), 0);
	v = unit_open_volume(h, "v");
	for (uint64_t i = 0; i < leaves; i++)
		unit_write_to(v, i * apart, i + 1);
	unit_take_snapshot(h, "v@a");
	unit_write_to(v, 0, 1000);
	unit_write_to(v, 300 * apart + 5, 1001);
	ck_assert_int_eq(kmemblk_trim(v, PAGE, 599 * apart * PAGE), 0);
	unit_take_snapshot(h, "v@b");
	a = unit_open_volume(h, "v@a");
	b = unit_open_volume(h, "v@b");
	before = sections;
	expect_diff(a, a, "");
	ck_assert_uint_le(sections - before, 1);
	before = sections;
	expect_diff(a, b, "0+1 134217605+1 z267987808+1");
	ck_assert_uint_le(sections - before, 20);
	kmemblk_volume_close(a);
	kmemblk_volume_close(b);
	kmemblk_volume_close(v);
	kmemblk_close(h);
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------- */

/* A block of each of two leaves, of which the second is written after the snapshot. */
static void make_two_leaves(void)
{
	struct kmemblk_volume *v;

	h = unit_make(64 * MIB);
	v = unit_open_volume(h, "kmem0");
	unit_write_to(v, 3, 1);
	unit_write_to(v, 1000, 2);
	unit_take_snapshot(h, "kmem0@a");
	unit_write_to(v, 1000, 3);
	kmemblk_volume_close(v);
	kmemblk_close(h);
}

static void expect_failure(const char *from, const char *to, const char *words)
{
	struct kmemblk_volume *f, *v;
	struct telling t = { .stop_after = 0 };

	h = unit_open(KMEMBLK_OPEN_READONLY);
	f = unit_open_volume(h, from);
	v = unit_open_volume(h, to);
	unit_expect_error(kmemblk_diff(f, v, tell, &t), EIO, words);
	kmemblk_volume_close(f);
	kmemblk_volume_close(v);
	kmemblk_close(h);
}

/* With a bit of an 8-byte word turned. */
static void expect_damaged(uint64_t at, unsigned int bit, const char *words)
{
	uint64_t was = unit_peek_number(at, 8);

	unit_poke_number(at, 8, was ^ 1ull << bit);
	expect_failure("kmem0@a", "kmem0", words);
	expect_failure("kmem0", "kmem0@a", words);
	unit_poke_number(at, 8, was);
}

START_TEST(test_damage_is_an_error)
{
	uint64_t entry, top;

	make_two_leaves();
	entry = unit_find_entry(1000);
	top = unit_table(0, 2) * PAGE;
	expect_damaged(entry, 3, "volume kmem0: the entry of block 1000 is damaged");
	/* What was 0 in both. */
	expect_damaged(entry + 8, 3, "volume kmem0: the entry of block 1001 is damaged");
	expect_damaged(top + 8, 50, "volume kmem0: the entry of table 1 of level 1 is damaged");
	expect_damaged(top + 16, 3, "volume kmem0: the entry of table 2 of level 1 is damaged");
	expect_damaged(unit_record() * PAGE + 4088, 0, "the entry of table 0 of level 2");
	/* Nothing of it is left. */
	h = unit_open(KMEMBLK_OPEN_READONLY);
	expect_named_diff("kmem0@a", "kmem0", "1000+1");
	kmemblk_close(h);
}
END_TEST

/* The same damage in both, in tables that differ. */
START_TEST(test_equal_damage_is_an_error)
{
	uint64_t old[2], new[2], was;
	struct kmemblk_volume *v;

	h = unit_make(64 * MIB);
	v = unit_open_volume(h, "kmem0");
	unit_write_to(v, 3, 1);
	unit_write_to(v, 1000, 2);
	unit_take_snapshot(h, "kmem0@a");
	old[0] = unit_find_entry(999);
	old[1] = unit_table(0, 2) * PAGE;
	unit_write_to(v, 1000, 3);
	kmemblk_volume_close(v);
	kmemblk_close(h);
	new[0] = unit_find_entry(999);
	new[1] = unit_table(0, 2) * PAGE;
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert_uint_ne(old[i], new[i]);
		was = unit_peek_number(new[i], 8);
		ck_assert_uint_eq(was, unit_peek_number(old[i], 8));
		unit_poke_number(old[i], 8, was ^ 4);
		unit_poke_number(new[i], 8, was ^ 4);
		expect_failure("kmem0@a", "kmem0",
			       i == 0 ? "the entry of block 999"
				      : "the entry of table 0 of level 1");
		unit_poke_number(old[i], 8, was);
		unit_poke_number(new[i], 8, was);
	}
}
END_TEST

START_TEST(test_media_error)
{
	struct telling t = { .stop_after = 0 };
	struct kmemblk_volume *v, *s;

	if (!unit_faults_work())
		return;
	make_two_leaves();
	h = unit_open(KMEMBLK_OPEN_READONLY);
	v = unit_open_volume(h, "kmem0");
	s = unit_open_volume(h, "kmem0@a");
	ck_assert_int_eq(truncate(unit_device, PAGE), 0);
	unit_expect_error(kmemblk_diff(s, v, tell, &t), EIO, "cut short before page");
	ck_assert_uint_eq(t.ranges.calls, 0);
	kmemblk_volume_close(s);
	kmemblk_volume_close(v);
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("diff", test_tells_what_changed, test_callback_stops_or_fails,
	  test_refuses_what_has_no_common_origin, test_sizes_and_heights_differ,
	  test_costs_what_changed, test_damage_is_an_error, test_equal_damage_is_an_error,
	  test_media_error)
