/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * snapshot-names.c - snapshots are listed behind their volumes, are renamed and deleted by their names, and what they
 * take is in the figures.
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
#include "unit.h"

static struct kmemblk *h;

/* What is reserved is what the maps say, as the next open finds it; nothing leaks. */
static void reopen(void)
{
	uint64_t reserved, tables;

	AWAIT(unit_info(h).pages_retired == 0);
	reserved = h->pool.reserved;
	tables = h->pool.tables;
	kmemblk_close(h);
	unit_expect_clean();
	h = unit_open(0);
	ck_assert_uint_eq(h->pool.reserved, reserved);
	ck_assert_uint_eq(h->pool.tables, tables);
}

/* ---- names and lists ------------------------------------------------------------------------- */

static void make_clone(const char *snapshot, const char *name)
{
	ck_assert_msg(kmemblk_volume_clone(h, snapshot, name, 0) == 0, "%s", kmemblk_error());
}

static int join_view(void *opaque, const struct kmemblk_volume_info *info)
{
	char *text = opaque;
	size_t at = strlen(text);

	snprintf(text + at, 2000 - at, "%s%s%s%s%s ", info->name, info->is_default ? "*" : "",
		 info->is_snapshot ? "!" : "", info->origin[0] ? "<" : "", info->origin);
	ck_assert_int_eq(info->is_snapshot, strchr(info->name, '@') != NULL);
	return 0;
}

/* Of the open device, and of one that is looked at. */
static void expect_list(const char *expected)
{
	char text[2000] = "";

	ck_assert_int_eq(kmemblk_volume_list(h, join_view, text), 0);
	ck_assert_str_eq(text, expected);
	text[0] = '\0';
	ck_assert_int_eq(kmemblk_probe_volumes(unit_device, join_view, text), 0);
	ck_assert_str_eq(text, expected);
}

START_TEST(test_lists_snapshots_behind_their_volumes)
{
	struct kmemblk_volume_info info;
	struct kmemblk_volume *v;

	h = unit_make(32 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "b", MIB, 0), 0);
	unit_take_snapshot(h, "b@z");
	unit_take_snapshot(h, "kmem0@z");
	unit_take_snapshot(h, "b@y");
	ck_assert_int_eq(kmemblk_volume_create(h, "c", MIB, 0), 0);
	unit_take_snapshot(h, "kmem0@a");
	unit_take_snapshot(h, "b@x");
	make_clone("b@y", "d");
	unit_take_snapshot(h, "d@first");
	expect_list("kmem0* kmem0@z! kmem0@a! b b@z! b@y! b@x! c d<b@y d@first! ");
	/* In place of an older one in the directory, and still the youngest. */
	ck_assert_int_eq(kmemblk_volume_delete(h, "b@z", 0), 0);
	unit_take_snapshot(h, "b@w");
	expect_list("kmem0* kmem0@z! kmem0@a! b b@y! b@x! b@w! c d<b@y d@first! ");
	ck_assert_int_eq(kmemblk_volume_rename(h, "b", "e"), 0);
	expect_list("kmem0* kmem0@z! kmem0@a! e e@y! e@x! e@w! c d<e@y d@first! ");
	v = unit_open_volume(h, "d");
	kmemblk_volume_get_info(v, &info);
	ck_assert_str_eq(info.name, "d");
	ck_assert_str_eq(info.origin, "e@y");
	kmemblk_volume_close(v);
	v = unit_open_volume(h, "e@w");
	kmemblk_volume_get_info(v, &info);
	ck_assert_str_eq(info.name, "e@w");
	ck_assert_str_eq(info.origin, "");
	ck_assert_int_eq(info.is_snapshot, 1);
	kmemblk_volume_close(v);
	ck_assert_uint_eq(unit_info(h).volumes, 4);
	ck_assert_uint_eq(unit_info(h).snapshots, 6);
	unit_expect_error(kmemblk_volume_open(h, "e@none", &v), ENOENT,
			  "there is no snapshot e@none; there are: kmem0, e");
	unit_expect_error(kmemblk_volume_open(h, "none@y", &v), ENOENT, "there is no snapshot");
	kmemblk_close(h);
	unit_expect_clean();
}
END_TEST

START_TEST(test_rename)
{
	static const char *const bad[] = { "new", "b@new", "@new", "kmem@new", "kmem00@new" };
	static const char *const no_snapshot[] = { "@x", "kmem0@", "kmem0", "" };
	struct kmemblk_volume *v, *s;

	h = unit_make(32 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "b", MIB, 0), 0);
	v = unit_open_volume(h, "kmem0");
	unit_write_to(v, 0, 1);
	unit_take_snapshot(h, "kmem0@a");
	unit_take_snapshot(h, "kmem0@b");
	unit_take_snapshot(h, "b@c");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		unit_expect_error(kmemblk_volume_rename(h, "kmem0@a", bad[i]), EINVAL,
				  "kmem0@a is a snapshot, and stays with its volume: name it "
				  "kmem0@NEW-NAME instead of ");
	for (size_t i = 0; i < sizeof(no_snapshot) / sizeof(no_snapshot[0]); i++)
		unit_expect_error(kmemblk_snapshot(h, &no_snapshot[i], 1, 0), EINVAL,
				  "is not VOLUME@SNAPSHOT");
	unit_expect_error(kmemblk_volume_rename(h, "kmem0@a", "kmem0@.x"), EINVAL,
			  "cannot be a name");
	unit_expect_error(kmemblk_volume_rename(h, "kmem0@a", "kmem0@"), EINVAL,
			  "cannot be a name");
	unit_expect_error(kmemblk_volume_rename(h, "kmem0@a", "kmem0@b"), EEXIST,
			  "there is a snapshot kmem0@b already");
	unit_expect_error(kmemblk_volume_rename(h, "kmem0@x", "kmem0@y"), ENOENT, "no snapshot");
	unit_expect_error(kmemblk_volume_rename(h, "b", "kmem0@d"), EINVAL,
			  "VOLUME@SNAPSHOT, is made by kmemblk snapshot");
	unit_expect_error(kmemblk_volume_create(h, "kmem0@d", MIB, 0), EINVAL,
			  "VOLUME@SNAPSHOT, is made by kmemblk snapshot");
	unit_expect_error(kmemblk_volume_resize(h, "kmem0@a", MIB, 0), EINVAL,
			  "kmem0@a is a snapshot, which never changes");
	/* While it is read, and while its volume is written to. */
	s = unit_open_volume(h, "kmem0@a");
	ck_assert_int_eq(kmemblk_volume_rename(h, "kmem0@a", "kmem0@c"), 0);
	expect_list("kmem0* kmem0@c! kmem0@b! b b@c! ");
	unit_write_to(v, 0, 2);
	unit_expect_in(s, 0, 1);
	kmemblk_volume_close(s);
	kmemblk_volume_close(v);
	reopen();
	expect_list("kmem0* kmem0@c! kmem0@b! b b@c! ");
	s = unit_open_volume(h, "kmem0@c");
	unit_expect_in(s, 0, 1);
	kmemblk_volume_close(s);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_delete_recursive)
{
	struct kmemblk_volume *s, *v;
	uint64_t before;

	h = unit_make(32 * MIB);
	ck_assert_int_eq(kmemblk_volume_create(h, "b", MIB, 0), 0);
	AWAIT(unit_info(h).pages_retired == 0);
	before = unit_info(h).pages_free;
	v = unit_open_volume(h, "b");
	for (unsigned int i = 0; i < 3; i++) {
		char name[8];

		for (uint64_t block = 0; block < 200; block++)
			unit_write_to(v, block, block + i);
		snprintf(name, sizeof(name), "b@%u", i);
		unit_take_snapshot(h, name);
	}
	kmemblk_volume_close(v);
	make_clone("b@1", "c");
	unit_take_snapshot(h, "c@x");
	unit_expect_error(kmemblk_volume_delete(h, "b", 2), EINVAL, "unknown flags 0x2");
	unit_expect_error(
		kmemblk_volume_delete(h, "b", 0), EBUSY,
		"volume b has snapshots: 2, 1, 0; to delete them and it, add --recursive");
	unit_expect_error(kmemblk_volume_delete(h, "b", KMEMBLK_VOLUME_RECURSIVE), EBUSY,
			  "volume c was made from b@1: delete c first");
	unit_expect_error(kmemblk_volume_delete(h, "b@1", 0), EBUSY,
			  "volume c was made from b@1: delete c first");
	expect_list("kmem0* b b@0! b@1! b@2! c<b@1 c@x! ");
	ck_assert_int_eq(kmemblk_volume_delete(h, "c", KMEMBLK_VOLUME_RECURSIVE), 0);
	s = unit_open_volume(h, "b@0");
	unit_expect_error(kmemblk_volume_delete(h, "b", KMEMBLK_VOLUME_RECURSIVE), EBUSY,
			  "snapshot b@0 is open: it has 1 user;");
	expect_list("kmem0* b b@0! b@1! b@2! ");
	kmemblk_volume_close(s);
	ck_assert_int_eq(kmemblk_volume_delete(h, "b@2", KMEMBLK_VOLUME_RECURSIVE), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "b", KMEMBLK_VOLUME_RECURSIVE), 0);
	expect_list("kmem0* ");
	AWAIT(unit_info(h).pages_retired == 0);
	/* The record of b is free as well. */
	ck_assert_uint_eq(unit_info(h).pages_free, before + 1);
	reopen();
	kmemblk_close(h);
}
END_TEST

/* ---- beside a writer ------------------------------------------------------------------------- */

#define LEAVES 40u

static _Atomic bool stop;
static _Atomic uint64_t written;

/* One block of each leaf after the other: each makes tables its own that the snapshot has. */
static void *write_on(void *opaque)
{
	for (uint64_t i = 1; !atomic_load(&stop); i++) {
		unit_write_to(opaque, i % LEAVES * 512, i);
		atomic_store(&written, i);
	}
	return NULL;
}

/* Who writes to a volume looks at its snapshot's tables, whatever becomes of the snapshot's record. */
START_TEST(test_rename_beside_a_writer)
{
	struct kmemblk_volume *v;
	pthread_t thread;
	uint64_t last;

	h = unit_make(32 * MIB);
	ck_assert_int_eq(kmemblk_volume_resize(h, "kmem0", LEAVES * 512 * PAGE, 0), 0);
	v = unit_open_volume(h, "kmem0");
	for (uint64_t i = 0; i < LEAVES; i++)
		unit_write_to(v, i * 512 + 1, 100 + i);
	pthread_create(&thread, NULL, write_on, v);
	for (unsigned int round = 0; round < scale(50); round++) {
		unit_take_snapshot(h, "kmem0@a");
		for (unsigned int i = 0; i < 20; i++) {
			ck_assert_int_eq(kmemblk_volume_rename(h, "kmem0@a", "kmem0@b"), 0);
			ck_assert_int_eq(kmemblk_volume_rename(h, "kmem0@b", "kmem0@a"), 0);
		}
		ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@a", 0), 0);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	last = atomic_load(&written);
	for (uint64_t i = 0; i < LEAVES; i++) {
		unit_expect_in(v, i * 512 + 1, 100 + i);
		if (last >= LEAVES)
			unit_expect_in(v, (last - i) % LEAVES * 512, last - i);
	}
	kmemblk_volume_close(v);
	reopen();
	kmemblk_close(h);
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------- */

/* The entry of the directory, and its copy, are gone. */
static void lose_view(unsigned int number)
{
	unit_poke_number(PAGE + 8 * number, 8, 0);
	unit_poke_number(2 * PAGE + 8 * number, 8, 0);
}

START_TEST(test_what_is_named_is_lost)
{
	char text[2000] = "", wanted[2000], uuid[2][37];
	struct kmemblk_volume_info info;
	struct kmemblk_volume *v;

	h = unit_make(32 * MIB);
	v = unit_open_volume(h, "kmem0");
	unit_write_to(v, 0, 1);
	kmemblk_volume_get_info(v, &info);
	strcpy(uuid[0], info.uuid);
	kmemblk_volume_close(v);
	unit_take_snapshot(h, "kmem0@a");
	unit_take_snapshot(h, "kmem0@b");
	make_clone("kmem0@b", "c");
	v = unit_open_volume(h, "kmem0@b");
	kmemblk_volume_get_info(v, &info);
	strcpy(uuid[1], info.uuid);
	kmemblk_volume_close(v);
	kmemblk_close(h);

	/* The volume: its snapshots come last. */
	lose_view(0);
	snprintf(wanted, sizeof(wanted), "c*<%s@b %s@a! %s@b! ", uuid[0], uuid[0], uuid[0]);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	expect_list(wanted);
	snprintf(wanted, sizeof(wanted), "%s@a", uuid[0]);
	v = unit_open_volume(h, wanted);
	unit_expect_in(v, 0, 1);
	kmemblk_volume_close(v);
	kmemblk_close(h);

	/* And what the clone was made from. */
	lose_view(2);
	snprintf(wanted, sizeof(wanted), "c*<%s %s@a! ", uuid[1], uuid[0]);
	ck_assert_int_eq(kmemblk_probe_volumes(unit_device, join_view, text), 0);
	ck_assert_str_eq(text, wanted);
}
END_TEST

/* ---- figures --------------------------------------------------------------------------------- */

struct figures {
	const char *name;
	uint64_t used, owned;
};

static int compare_figures(void *opaque, const struct kmemblk_volume_info *info)
{
	const struct figures *f = opaque;

	if (strcmp(f->name, info->name) != 0)
		return 0;
	ck_assert_uint_eq(info->pages_used, f->used);
	ck_assert_uint_eq(info->pages_owned, f->owned);
	return 1;
}

static void expect_figures(const char *name, uint64_t used, uint64_t owned)
{
	struct figures f = { name, used, owned };

	ck_assert_int_eq(kmemblk_volume_list(h, compare_figures, &f), 1);
	ck_assert_int_eq(kmemblk_probe_volumes(unit_device, compare_figures, &f), 1);
}

/* All pages are somebody's, and so many are reserved; by all who can tell. */
static void expect_reserved(uint64_t reserved)
{
	struct kmemblk_info info, probed;

	AWAIT(unit_info(h).pages_retired == 0);
	info = unit_info(h);
	ck_assert_uint_eq(info.pages_reserved, reserved);
	ck_assert_uint_eq(info.pages_used + info.pages_tables + info.pages_free +
				  info.pages_quarantined,
			  info.data_pages);
	ck_assert_uint_le(info.pages_reserved + info.pages_spare, info.pages_free);
	ck_assert_int_eq(kmemblk_probe(unit_device, &probed), 0);
	ck_assert_uint_eq(probed.pages_reserved, reserved);
	ck_assert_uint_eq(probed.pages_used, info.pages_used);
	ck_assert_uint_eq(probed.pages_free, info.pages_free);
	ck_assert_uint_eq(probed.snapshots, info.snapshots);
}

START_TEST(test_figures)
{
	struct kmemblk_volume *v;

	h = unit_make(32 * MIB);
	expect_reserved(0);
	v = unit_open_volume(h, "kmem0");
	for (uint64_t block = 0; block < 100; block++)
		unit_write_to(v, block, block + 1);
	expect_reserved(0);
	/* 100 blocks, a leaf, and the table above it. */
	unit_take_snapshot(h, "kmem0@a");
	expect_reserved(102);
	expect_figures("kmem0", 100, 0);
	expect_figures("kmem0@a", 100, 102);
	/* Those that are overwritten take what was reserved, with both tables. */
	for (uint64_t block = 0; block < 10; block++)
		unit_write_to(v, block, block + 2);
	expect_reserved(90);
	expect_figures("kmem0", 100, 12);
	unit_write_to(v, 100, 1);
	expect_reserved(90);
	make_clone("kmem0@a", "c");
	expect_reserved(90 + 102);
	kmemblk_volume_close(v);
	reopen();
	expect_reserved(90 + 102);
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	expect_reserved(90 + 102);
	kmemblk_close(h);
	h = unit_open(0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "c", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@a", 0), 0);
	expect_reserved(0);
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("snapshot-names", test_lists_snapshots_behind_their_volumes, test_rename,
	  test_delete_recursive, test_rename_beside_a_writer, test_what_is_named_is_lost,
	  test_figures)
