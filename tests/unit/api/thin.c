/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thin.c - what a thin volume gives up, and what not: overwrites of what it shares may find no page, all else goes on on
 * a full device; and that what is reserved is what the maps say, whatever becomes thin and ends to be so.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
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
	uint64_t reserved = h->pool.reserved;

	expect_sound();
	kmemblk_close(h);
	unit_expect_clean();
	h = unit_open(0);
	ck_assert_uint_eq(h->pool.reserved, reserved);
	expect_sound();
}

static int take_snapshot(const char *name, unsigned int flags)
{
	return kmemblk_snapshot(h, &name, 1, flags);
}

static int write_to(struct kmemblk_volume *v, uint64_t block, uint64_t number)
{
	uint8_t bytes[PAGE];

	unit_fill(bytes, number);
	return kmemblk_write(v, bytes, PAGE, block * PAGE);
}

static bool is_thin(const char *name)
{
	struct kmemblk_volume_info info;
	struct kmemblk_volume *v = unit_open_volume(h, name);

	kmemblk_volume_get_info(v, &info);
	kmemblk_volume_close(v);
	return info.is_thin;
}

/* ---- the flag ------------------------------------------------------------------------------- */

static int find_thin(void *opaque, const struct kmemblk_volume_info *info)
{
	char *names = opaque;

	if (info->is_thin)
		strcat(strcat(names, info->name), " ");
	return 0;
}

static void expect_thin(const char *expected)
{
	char listed[200] = "", probed[200] = "";

	ck_assert_int_eq(kmemblk_volume_list(h, find_thin, listed), 0);
	ck_assert_int_eq(kmemblk_probe_volumes(unit_device, find_thin, probed), 0);
	ck_assert_str_eq(listed, expected);
	ck_assert_str_eq(probed, expected);
}

START_TEST(test_is_thin_until_that_is_ended)
{
	h = unit_make(32 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "a", 600 * PAGE, KMEMBLK_THIN), 0);
	ck_assert_int_eq(
		kmemblk_volume_create(h, "b", 4 * PAGE, KMEMBLK_THIN | KMEMBLK_VOLUME_PREALLOC), 0);
	unit_write(h, 3, 1);
	unit_take_snapshot(h, "kmem0@s");
	unit_take_snapshot(h, "a@s");
	ck_assert_int_eq(kmemblk_volume_clone(h, "a@s", "c", 0), 0);
	ck_assert_int_eq(kmemblk_volume_clone(h, "kmem0@s", "d", KMEMBLK_THIN), 0);
	expect_thin("a b d ");
	/* None of these changes it, and no snapshot is thin. */
	ck_assert_int_eq(kmemblk_volume_rename(h, "a", "e"), 0);
	ck_assert_int_eq(kmemblk_volume_resize(h, "e", 700 * PAGE, 0), 0);
	ck_assert_int_eq(kmemblk_volume_rollback(h, "e@s", 0), 0);
	ck_assert_int_eq(take_snapshot("d@t", KMEMBLK_THIN), 0);
	/* There is room, so this one stays what it is. */
	ck_assert_int_eq(take_snapshot("kmem0@t", KMEMBLK_THIN), 0);
	reopen();
	expect_thin("e b d ");
	ck_assert_int_eq(kmemblk_volume_set_thin(h, "e", 0), 0);
	ck_assert_int_eq(kmemblk_volume_set_thin(h, "b", 1), 0);
	ck_assert_int_eq(kmemblk_volume_set_thin(h, "kmem0", 1), 0);
	expect_thin("kmem0 b d ");
	reopen();
	expect_thin("kmem0 b d ");
	unit_expect(h, 3, 1);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_what_cannot_be_is_refused)
{
	static const char *const name = "kmem0@t";

	h = unit_make(32 * MIB);
	unit_take_snapshot(h, "kmem0@s");
	unit_expect_error(kmemblk_volume_set_thin(h, "none", 1), ENOENT, "there is no volume none");
	unit_expect_error(kmemblk_volume_set_thin(h, "kmem0@s", 1), EINVAL,
			  "kmem0@s is a snapshot");
	unit_expect_error(kmemblk_snapshot(h, &name, 1, 1), EINVAL, "unknown flags 0x1");
	unit_expect_error(kmemblk_volume_clone(h, "kmem0@s", "c", 4), EINVAL, "unknown flags 0x4");
	unit_expect_error(kmemblk_volume_create(h, "c", PAGE, 8), EINVAL, "unknown flags 0x8");
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	ck_assert_int_eq(kmemblk_volume_set_thin(h, "kmem0", 1), -EROFS);
	kmemblk_close(h);
}
END_TEST

/* A snapshot that says to be thin is none. */
START_TEST(test_a_thin_snapshot_is_damage)
{
	uint64_t page;

	h = unit_make(32 * MIB);
	unit_take_snapshot(h, "kmem0@s");
	kmemblk_close(h);
	page = unit_peek_number(PAGE + 8, 8) & ((1ull << 39) - 1);
	ck_assert_uint_eq(unit_peek_number(page * PAGE + 12, 4), 2);
	unit_poke_number(page * PAGE + 12, 4, 6);
	unit_seal_record(page);
	unit_expect_error(kmemblk_open(unit_device, 0, &h), EUCLEAN, "half of a snapshot");
}
END_TEST

/* ---- a full device -------------------------------------------------------------------------- */

/* Write block by block until there is no page for another. */
static uint64_t fill(struct kmemblk_volume *v, uint64_t block)
{
	while (write_to(v, block, block + 1) == 0)
		block++;
	unit_expect_error(-ENOSPC, ENOSPC, "no page is left");
	return block;
}

static void make_small(void)
{
	unit_format_with(
		&(struct kmemblk_format_options){ .create_size = 4 * MIB, .spare_pages = 1 });
	h = unit_open(0);
}

START_TEST(test_what_overwrites_need_is_told_and_thin_goes_without)
{
	struct kmemblk_volume *v;
	char words[200];
	uint64_t left;

	make_small();
	v = unit_open_volume(h, "kmem0");
	for (uint64_t block = 0; block < 600; block++)
		unit_write_to(v, block, block + 1);
	left = h->pool.usable - h->pool.reserved - h->pool.spare - 1;
	/* Two leaves and the table above. */
	snprintf(
		words, sizeof(words),
		"so that all of it can be overwritten 603 pages must be reserved, and %llu are left: "
		"trim what is not needed, or delete snapshots, or add --thin",
		(unsigned long long)left);
	unit_expect_error(take_snapshot("kmem0@s", 0), ENOSPC, words);
	expect_sound();
	ck_assert(!is_thin("kmem0"));
	ck_assert_int_eq(take_snapshot("kmem0@s", KMEMBLK_THIN), 0);
	ck_assert(is_thin("kmem0"));
	expect_sound();
	left = h->pool.usable - h->pool.reserved - h->pool.spare;
	snprintf(words, sizeof(words),
		 "600 pages must be reserved, and %llu are left: ", (unsigned long long)left);
	unit_expect_error(kmemblk_volume_set_thin(h, "kmem0", 0), ENOSPC, words);
	ck_assert(is_thin("kmem0"));
	ck_assert_int_eq(kmemblk_volume_clone(h, "kmem0@s", "c", KMEMBLK_THIN), 0);
	unit_expect_error(kmemblk_volume_clone(h, "kmem0@s", "d", 0), ENOSPC,
			  "603 pages must be reserved, and");
	unit_expect_error(kmemblk_volume_clone(h, "kmem0@s", "d", 0), ENOSPC, "or add --thin");
	kmemblk_volume_close(v);
	reopen();
	ck_assert_int_eq(kmemblk_volume_delete(h, "c", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@s", 0), 0);
	ck_assert_int_eq(kmemblk_volume_set_thin(h, "kmem0", 0), 0);
	reopen();
	kmemblk_close(h);
}
END_TEST

START_TEST(test_only_overwrites_of_shared_blocks_find_no_page)
{
	struct kmemblk_volume *v;
	uint64_t blocks;
	uint8_t part[100] = "part of it";

	make_small();
	v = unit_open_volume(h, "kmem0");
	for (uint64_t block = 0; block < 700; block++)
		unit_write_to(v, block, block + 1);
	ck_assert_int_eq(take_snapshot("kmem0@s", KMEMBLK_THIN), 0);
	/* Each takes a page more; were that not counted, one of them would wait for ever. */
	for (uint64_t block = 0; block < 20; block++) {
		unit_write_to(v, block, 2000 + block);
		expect_sound();
	}
	blocks = fill(v, 700);
	expect_sound();
	/* What it shares, whole or in part; what is its own; and what is new again. */
	unit_expect_error(write_to(v, 300, 1), ENOSPC, "no page is left");
	unit_expect_error(kmemblk_write(v, part, sizeof(part), 300 * PAGE + 7), ENOSPC,
			  "no page is left");
	unit_expect_error(kmemblk_zero(v, PAGE, 300 * PAGE, KMEMBLK_ZERO_NO_HOLE), ENOSPC,
			  "no page is left");
	unit_expect_in(v, 300, 301);
	unit_write_to(v, 5, 3000);
	ck_assert_msg(kmemblk_write(v, part, sizeof(part), 6 * PAGE) == 0, "%s", kmemblk_error());
	unit_write_to(v, blocks - 1, 3001);
	expect_sound();
	/* A shared block trimmed frees nothing, so it cannot be written either; one that is owned can. */
	ck_assert_int_eq(kmemblk_trim(v, PAGE, 300 * PAGE), 0);
	unit_expect_error(write_to(v, 300, 1), ENOSPC, "no page is left");
	ck_assert_int_eq(kmemblk_zero(v, PAGE, 5 * PAGE, 0), 0);
	unit_write_to(v, 301, 3002);
	unit_expect_error(write_to(v, 302, 1), ENOSPC, "no page is left");
	expect_sound();
	/* All that takes away: in part of a leaf, of a whole one, and the snapshot. */
	ck_assert_int_eq(kmemblk_trim(v, 600 * PAGE, 50 * PAGE), 0);
	ck_assert_int_eq(kmemblk_volume_rename(h, "kmem0", "v"), 0);
	ck_assert_int_eq(kmemblk_volume_set_thin(h, "v", 1), 0);
	expect_sound();
	ck_assert_int_eq(kmemblk_volume_delete(h, "v@s", 0), 0);
	expect_sound();
	for (uint64_t block = 0; block < 700; block++)
		unit_write_to(v, block, 4000 + block);
	unit_expect_in(v, blocks - 1, 3001);
	kmemblk_volume_close(v);
	reopen();
	kmemblk_close(h);
}
END_TEST

/* Not even the pages that its tables need; then the volume is what it was. */
START_TEST(test_a_thin_snapshot_that_has_no_room_leaves_the_volume)
{
	struct kmemblk_volume *v;
	uint64_t record;

	make_small();
	ck_assert_int_eq(kmemblk_volume_resize(h, "kmem0", MIB * PAGE, 0), 0);
	v = unit_open_volume(h, "kmem0");
	fill(v, 0);
	/* A page for the snapshot's record, and none for its tables. */
	ck_assert_int_eq(kmemblk_trim(v, PAGE, 0), 0);
	record = v->page;
	unit_expect_error(take_snapshot("kmem0@s", KMEMBLK_THIN), ENOSPC,
			  "for its tables 4 pages must be reserved, and 0 are left");
	ck_assert(!is_thin("kmem0"));
	ck_assert_uint_eq(v->page, record);
	kmemblk_volume_close(v);
	reopen();
	kmemblk_close(h);
}
END_TEST

/* ---- at random ------------------------------------------------------------------------------ */

#define BLOCKS	  1400u
#define SNAPSHOTS 4u

/* What the volumes and the snapshots of the first hold, by block; 0: zeroes. */
enum { FIRST, CLONE, SNAPSHOT, VIEWS = SNAPSHOT + SNAPSHOTS };

static const char *const names[VIEWS] = { "kmem0",    "c",	  "kmem0@s0",
					  "kmem0@s1", "kmem0@s2", "kmem0@s3" };
static uint64_t held[VIEWS][BLOCKS];
static bool there[VIEWS];
static unsigned int random_state;
static uint64_t number, refused, made_thin;

static unsigned int any(unsigned int limit)
{
	random_state = random_state * 1103515245u + 12345u;
	return (random_state >> 8) % limit;
}

/* Near each other, and far apart. */
static uint64_t any_block(void)
{
	return any(3) * 512 + any(any(2) ? 8 : 150);
}

/* It may only have been refused for want of pages. */
static bool done(int rc, const char *what)
{
	if (rc != 0)
		ck_assert_msg(rc == -ENOSPC, "%s: %s", what, kmemblk_error());
	refused += rc != 0;
	return rc == 0;
}

/* What has a page can be overwritten, but for what a thin volume shares, which nobody here knows. */
static void write_one(struct kmemblk_volume *v, unsigned int view, uint64_t block)
{
	int rc = write_to(v, block, ++number);

	if (held[view][block] != 0 && !map_is_thin(&v->map))
		ck_assert_msg(rc == 0, "%s", kmemblk_error());
	if (done(rc, "write"))
		held[view][block] = number;
}

static void write_some(unsigned int view)
{
	struct kmemblk_volume *v = unit_open_volume(h, names[view]);
	uint64_t block, n;

	for (unsigned int i = any(50); i > 0; i--) {
		block = any_block();
		n = 1 + any(4);
		if (any(40) == 0) {
			block = any(3) * 512;
			n = block == 1024 ? BLOCKS - 1024 : 512;
		}
		if (n <= 4 && any(5) > 0) {
			write_one(v, view, block);
			continue;
		}
		ck_assert_msg(kmemblk_trim(v, n * PAGE, block * PAGE) == 0, "%s", kmemblk_error());
		memset(&held[view][block], 0, n * sizeof(held[0][0]));
	}
	kmemblk_volume_close(v);
}

static void change_snapshot(unsigned int view)
{
	int rc;

	if (!there[view]) {
		bool was = is_thin("kmem0");

		rc = take_snapshot(names[view], any(2) ? KMEMBLK_THIN : 0);
		there[view] = done(rc, "snapshot");
		memcpy(held[view], held[FIRST], sizeof(held[0]));
		made_thin += !was && is_thin("kmem0");
		return;
	}
	rc = kmemblk_volume_delete(h, names[view], 0);
	ck_assert_msg(rc == 0 || (rc == -EBUSY && there[CLONE]), "%s", kmemblk_error());
	there[view] = rc != 0;
}

static void change_clone(unsigned int view)
{
	if (there[CLONE]) {
		ck_assert_int_eq(kmemblk_volume_delete(h, "c", 0), 0);
		there[CLONE] = false;
	} else if (there[view]) {
		there[CLONE] =
			done(kmemblk_volume_clone(h, names[view], "c", any(2) ? KMEMBLK_THIN : 0),
			     "clone");
		memcpy(held[CLONE], held[view], sizeof(held[0]));
	}
}

/* The younger ones go, all or not. */
static void roll_back(unsigned int view)
{
	struct kmemblk_volume *v;
	int rc;

	if (!there[view])
		return;
	rc = kmemblk_volume_rollback(h, names[view], KMEMBLK_VOLUME_FORCE);
	for (unsigned int i = SNAPSHOT; i < VIEWS; i++)
		if (there[i] && kmemblk_volume_open(h, names[i], &v) == 0)
			kmemblk_volume_close(v);
		else
			there[i] = false;
	if (rc == -EBUSY && there[CLONE])
		return;
	if (done(rc, "rollback"))
		memcpy(held[FIRST], held[view], sizeof(held[0]));
}

static void cut_and_grow(unsigned int view)
{
	uint64_t blocks = 1 + any(BLOCKS - 1);

	ck_assert_msg(kmemblk_volume_resize(h, names[view], blocks * PAGE, KMEMBLK_VOLUME_FORCE) ==
			      0,
		      "%s", kmemblk_error());
	memset(&held[view][blocks], 0, (BLOCKS - blocks) * sizeof(held[0][0]));
	ck_assert_int_eq(kmemblk_volume_resize(h, names[view], BLOCKS * PAGE, 0), 0);
}

static void compare_all(void)
{
	for (unsigned int i = 0; i < VIEWS; i++) {
		struct kmemblk_volume *v;

		if (!there[i])
			continue;
		v = unit_open_volume(h, names[i]);
		for (uint64_t b = 0; b < BLOCKS; b++)
			unit_expect_in(v, b, held[i][b]);
		kmemblk_volume_close(v);
	}
}

static void change_something(void)
{
	unsigned int volume = there[CLONE] && any(3) == 0 ? CLONE : FIRST;
	unsigned int snapshot = SNAPSHOT + any(SNAPSHOTS);

	switch (any(10)) {
	case 0:
	case 1:
		change_snapshot(snapshot);
		break;
	case 2:
		change_clone(snapshot);
		break;
	case 3:
		if (any(4) == 0)
			roll_back(snapshot);
		break;
	case 4:
		if (any(4) == 0)
			cut_and_grow(volume);
		break;
	case 5:
		ck_assert_int_eq(kmemblk_volume_set_thin(h, names[volume], 1), 0);
		break;
	case 6:
		done(kmemblk_volume_set_thin(h, names[volume], 0), "thin");
		break;
	default:
		write_some(volume);
	}
}

static void try_at_random(unsigned int seed)
{
	random_state = seed;
	number = 0;
	memset(held, 0, sizeof(held));
	memset(there, 0, sizeof(there));
	there[FIRST] = true;
	unit_format_with(
		&(struct kmemblk_format_options){ .create_size = 200 * PAGE, .spare_pages = 1 });
	h = unit_open(0);
	ck_assert_int_eq(kmemblk_volume_resize(h, "kmem0", BLOCKS * PAGE, KMEMBLK_VOLUME_FORCE), 0);
	for (unsigned int i = 0; i < 400; i++) {
		change_something();
		expect_sound();
		if (any(20) == 0)
			compare_all();
		if (any(20) == 0)
			reopen();
	}
	compare_all();
	reopen();
	kmemblk_close(h);
	unlink(unit_device);
}

START_TEST(test_at_random)
{
	for (unsigned int seed = 1; seed <= scale(8); seed++)
		try_at_random(seed);
	/* Else this tries nothing. */
	ck_assert(under_valgrind() || (refused > 0 && made_thin > 0));
}
END_TEST

/* ---- beside writers ------------------------------------------------------------------------- */

#define WRITERS 4u
#define OWN	64u

struct writer {
	pthread_t thread;
	struct kmemblk_volume *v;
	unsigned int number;
	uint64_t held[OWN];
};

static _Atomic bool stop;

/* Each leaf has some of each writer's. */
static uint64_t block_of(const struct writer *w, unsigned int i)
{
	return (uint64_t)(i % 2) * 512 + w->number * OWN + i / 2;
}

static void *write_on(void *opaque)
{
	struct writer *w = opaque;
	uint64_t state = w->number;

	for (uint64_t n = 1; !atomic_load(&stop); n++) {
		unsigned int i;
		int rc;

		state = state * 6364136223846793005u + 1442695040888963407u;
		i = (unsigned int)(state >> 40) % OWN;
		if (state >> 32 & 7) {
			rc = write_to(w->v, block_of(w, i), n * WRITERS + w->number);
			ck_assert_msg(rc == 0 || rc == -ENOSPC, "%s", kmemblk_error());
			w->held[i] = rc == 0 ? n * WRITERS + w->number : w->held[i];
		} else {
			ck_assert_int_eq(kmemblk_trim(w->v, PAGE, block_of(w, i) * PAGE), 0);
			w->held[i] = 0;
		}
	}
	return NULL;
}

/* On a device with too little room for all of it. */
START_TEST(test_beside_writers)
{
	uint64_t rounds = scale(150);
	struct writer writers[WRITERS] = { { 0 } };

	unit_format_with(
		&(struct kmemblk_format_options){ .create_size = 4 * MIB, .spare_pages = 4 });
	h = unit_open(0);
	ck_assert_int_eq(kmemblk_volume_create(h, "filler", 300 * PAGE, KMEMBLK_VOLUME_PREALLOC),
			 0);
	for (unsigned int t = 0; t < WRITERS; t++) {
		writers[t].v = unit_open_volume(h, "kmem0");
		writers[t].number = t;
		pthread_create(&writers[t].thread, NULL, write_on, &writers[t]);
	}
	for (uint64_t round = 0; round < rounds; round++) {
		const char *first = round % 2 ? "kmem0@a" : "kmem0@b";

		done(take_snapshot(first, round % 3 ? KMEMBLK_THIN : 0), "snapshot");
		done(kmemblk_volume_set_thin(h, "kmem0", round % 4 == 0), "thin");
		(void)kmemblk_volume_delete(h, round % 2 ? "kmem0@b" : "kmem0@a", 0);
		done(kmemblk_volume_set_thin(h, "kmem0", round % 5 != 0), "thin");
	}
	atomic_store(&stop, true);
	for (unsigned int t = 0; t < WRITERS; t++) {
		pthread_join(writers[t].thread, NULL);
		for (unsigned int i = 0; i < OWN; i++)
			unit_expect_in(writers[t].v, block_of(&writers[t], i), writers[t].held[i]);
		kmemblk_volume_close(writers[t].v);
	}
	reopen();
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("thin", test_is_thin_until_that_is_ended, test_what_cannot_be_is_refused,
	  test_a_thin_snapshot_is_damage, test_what_overwrites_need_is_told_and_thin_goes_without,
	  test_only_overwrites_of_shared_blocks_find_no_page,
	  test_a_thin_snapshot_that_has_no_room_leaves_the_volume, test_at_random,
	  test_beside_writers)
