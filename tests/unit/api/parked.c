/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parked.c - snapshots are taken and deleted while a thread stands in the middle of a write, or of a deletion.
 *
 * The linker puts functions of this file before pm_copy_blocks(), where a writer has looked for his leaf and exchanged
 * nothing, before pm_drain(), where he has exchanged an entry or who takes a snapshot has filled its record, before
 * map_walk_owned(), by which a writer looks who owns a leaf, and before ownership_visit(), by which a deletion marks
 * what is to be freed.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "blocks.h"
#include "common/audit.h"
#include "io/volume.h"
#include "map/ownership.h"
#include "pages/grace.h"
#include "unit.h"

enum place {
	NOWHERE,
	BEFORE_LOOK,
	BEFORE_COPY,
	AFTER_EXCHANGE,
	IN_SNAPSHOT,
	BEFORE_MARKS,
	AFTER_MARKS,
	PLACES
};

static struct kmemblk *h;
static struct kmemblk_volume *disk;
static _Atomic bool parked[PLACES], go[PLACES];
/* For grace periods, by threads of these tests. */
static _Atomic unsigned int waits;
/* A view was freed beside a section that may have found it. */
static _Atomic bool freed_beside;
static __thread bool ours;
static __thread enum place park_at;

int __real_pm_copy_blocks(const struct pm *pm, void *dst, const void *src, unsigned int n,
			  struct crc24_prefix prefix, uint32_t *value, enum pm_order order);
int __wrap_pm_copy_blocks(const struct pm *pm, void *dst, const void *src, unsigned int n,
			  struct crc24_prefix prefix, uint32_t *value, enum pm_order order);
void __real_pm_drain(const struct pm *pm, enum pm_order order);
void __wrap_pm_drain(const struct pm *pm, enum pm_order order);
bool __real_ownership_visit(const struct map *map, const struct map *predecessor,
			    const struct map *successor, const struct ownership_visitor *visitor);
bool __wrap_ownership_visit(const struct map *map, const struct map *predecessor,
			    const struct map *successor, const struct ownership_visitor *visitor);
void __real_map_walk_owned(const struct map *map, uint64_t block, unsigned int level,
			   struct map_way *way, uint64_t *before);
void __wrap_map_walk_owned(const struct map *map, uint64_t block, unsigned int level,
			   struct map_way *way, uint64_t *before);
void __real_volume_free(struct kmemblk_volume *v);
void __wrap_volume_free(struct kmemblk_volume *v);
void __real_grace_wait(void);
void __wrap_grace_wait(void);

static void park(enum place place)
{
	if (park_at != place)
		return;
	park_at = NOWHERE;
	atomic_store(&parked[place], true);
	AWAIT(atomic_load(&go[place]));
}

static bool is_parked(enum place place)
{
	return atomic_load(&parked[place]) && !atomic_load(&go[place]);
}

void __wrap_map_walk_owned(const struct map *map, uint64_t block, unsigned int level,
			   struct map_way *way, uint64_t *before)
{
	park(BEFORE_LOOK);
	__real_map_walk_owned(map, block, level, way, before);
}

void __wrap_volume_free(struct kmemblk_volume *v)
{
	if (is_parked(BEFORE_LOOK))
		atomic_store(&freed_beside, true);
	__real_volume_free(v);
}

int __wrap_pm_copy_blocks(const struct pm *pm, void *dst, const void *src, unsigned int n,
			  struct crc24_prefix prefix, uint32_t *value, enum pm_order order)
{
	park(BEFORE_COPY);
	return __real_pm_copy_blocks(pm, dst, src, n, prefix, value, order);
}

void __wrap_pm_drain(const struct pm *pm, enum pm_order order)
{
	if (order == PM_WRITE_ENTRY)
		park(AFTER_EXCHANGE);
	if (order == PM_RECORD)
		park(IN_SNAPSHOT);
	__real_pm_drain(pm, order);
}

bool __wrap_ownership_visit(const struct map *map, const struct map *predecessor,
			    const struct map *successor, const struct ownership_visitor *visitor)
{
	bool whole;

	park(BEFORE_MARKS);
	whole = __real_ownership_visit(map, predecessor, successor, visitor);
	park(AFTER_MARKS);
	return whole;
}

void __wrap_grace_wait(void)
{
	if (ours)
		atomic_fetch_add(&waits, 1);
	__real_grace_wait();
}

/* ---- who is parked -------------------------------------------------------------------------- */

/* Block 0 becomes 2; or snapshot b is taken; or a is deleted. */
static void *run(void *opaque)
{
	ours = true;
	park_at = *(const enum place *)opaque;
	if (park_at == BEFORE_LOOK || park_at == BEFORE_COPY || park_at == AFTER_EXCHANGE)
		unit_write_to(disk, 0, 2);
	else if (park_at == IN_SNAPSHOT)
		unit_take_snapshot(h, "kmem0@b");
	else
		ck_assert_msg(kmemblk_volume_delete(h, "kmem0@a", 0) == 0, "%s", kmemblk_error());
	return NULL;
}

static pthread_t start(enum place *place)
{
	pthread_t thread;

	atomic_store(&parked[*place], false);
	atomic_store(&go[*place], false);
	ck_assert_int_eq(pthread_create(&thread, NULL, run, place), 0);
	AWAIT(*place == NOWHERE || atomic_load(&parked[*place]));
	return thread;
}

static void end(pthread_t thread, enum place place)
{
	atomic_store(&go[place], true);
	pthread_join(thread, NULL);
}

static void make(void)
{
	h = unit_make(32 * MIB);
	disk = unit_open_volume(h, "kmem0");
	unit_write_to(disk, 0, 1);
	unit_write_to(disk, 1, 11);
	unit_write_to(disk, 600, 21);
}

static void expect_in(const char *name, uint64_t first, uint64_t second, uint64_t third)
{
	struct kmemblk_volume *v = unit_open_volume(h, name);

	unit_expect_in(v, 0, first);
	unit_expect_in(v, 1, second);
	unit_expect_in(v, 600, third);
	kmemblk_volume_close(v);
}

/* Nothing has leaked, and the next open finds the same. */
static void finish(void)
{
	char why[200];

	kmemblk_volume_close(disk);
	ck_assert_msg(audit(h, why, sizeof(why)), "%s", why);
	unit_close_clean(h);
}

/* ---- a writer ------------------------------------------------------------------------------- */

START_TEST(test_snapshot_is_taken_while_a_writer_has_looked)
{
	enum place place = BEFORE_COPY;
	pthread_t writer;

	make();
	writer = start(&place);
	unit_take_snapshot(h, "kmem0@a");
	end(writer, place);
	expect_in("kmem0@a", 1, 11, 21);
	expect_in("kmem0", 2, 11, 21);
	finish();
}
END_TEST

START_TEST(test_leaf_is_copied_while_a_writer_has_looked)
{
	enum place place = BEFORE_COPY;
	pthread_t writer;

	make();
	writer = start(&place);
	unit_take_snapshot(h, "kmem0@a");
	/* Makes the copy, and another while the writer still has the first leaf in mind. */
	unit_write_to(disk, 1, 12);
	unit_take_snapshot(h, "kmem0@b");
	unit_write_to(disk, 1, 13);
	end(writer, place);
	expect_in("kmem0@a", 1, 11, 21);
	expect_in("kmem0@b", 1, 12, 21);
	expect_in("kmem0", 2, 13, 21);
	finish();
}
END_TEST

START_TEST(test_snapshot_is_deleted_while_a_writer_has_looked)
{
	enum place place = BEFORE_COPY;
	pthread_t writer;

	make();
	unit_take_snapshot(h, "kmem0@a");
	/* From now on the leaf is the volume's own, and block 0 still the snapshot's. */
	unit_write_to(disk, 1, 12);
	writer = start(&place);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@a", 0), 0);
	end(writer, place);
	expect_in("kmem0", 2, 12, 21);
	finish();
}
END_TEST

static void *snapshot(void *opaque)
{
	(void)opaque;
	ours = true;
	unit_take_snapshot(h, "kmem0@a");
	return NULL;
}

/* Who began to look before the younger snapshot was there may have found the older one. */
START_TEST(test_snapshot_before_another_is_deleted_while_a_writer_looks)
{
	enum place in_snapshot = IN_SNAPSHOT, before_look = BEFORE_LOOK, nowhere = NOWHERE;
	pthread_t maker, writer, deletion;
	unsigned int before;

	make();
	unit_take_snapshot(h, "kmem0@a");
	unit_write_to(disk, 1, 12);
	maker = start(&in_snapshot);
	writer = start(&before_look);
	end(maker, IN_SNAPSHOT);
	before = atomic_load(&waits);
	deletion = start(&nowhere);
	AWAIT(atomic_load(&waits) > before || atomic_load(&freed_beside));
	end(writer, BEFORE_LOOK);
	end(deletion, NOWHERE);
	ck_assert(!atomic_load(&freed_beside));
	expect_in("kmem0@b", 1, 12, 21);
	expect_in("kmem0", 2, 12, 21);
	finish();
}
END_TEST

START_TEST(test_what_was_exchanged_before_the_gate_is_in_the_snapshot)
{
	enum place place = AFTER_EXCHANGE;
	pthread_t writer, maker;
	unsigned int before;

	make();
	writer = start(&place);
	before = atomic_load(&waits);
	ck_assert_int_eq(pthread_create(&maker, NULL, snapshot, NULL), 0);
	AWAIT(atomic_load(&waits) > before);
	/* It waits for the writer's drain, with nothing published. */
	ck_assert_ptr_null(volume_look_up_locked(h, "kmem0@a"));
	end(writer, place);
	pthread_join(maker, NULL);
	expect_in("kmem0@a", 2, 11, 21);
	finish();
}
END_TEST

/* ---- a deletion ------------------------------------------------------------------------------ */

/* What the snapshot owns is replaced before the deletion has marked, and after it: overwritten, trimmed. */
static void replace_beside(enum place place)
{
	pthread_t deletion;

	make();
	unit_take_snapshot(h, "kmem0@a");
	unit_write_to(disk, 2, 31);
	deletion = start(&place);
	unit_write_to(disk, 0, 2);
	ck_assert_int_eq(kmemblk_trim(disk, PAGE, PAGE), 0);
	/* The first of its leaf: that is copied. */
	unit_write_to(disk, 600, 22);
	end(deletion, place);
	expect_in("kmem0", 2, 0, 22);
	finish();
}

START_TEST(test_blocks_are_replaced_before_a_deletion_has_marked)
{
	replace_beside(BEFORE_MARKS);
}
END_TEST

START_TEST(test_blocks_are_replaced_after_a_deletion_has_marked)
{
	replace_beside(AFTER_MARKS);
}
END_TEST

static void *open_deleted(void *opaque)
{
	struct kmemblk_volume *v;

	(void)opaque;
	unit_expect_error(kmemblk_volume_open(h, "kmem0@a", &v), ENOENT, "kmem0@a");
	return NULL;
}

START_TEST(test_others_open_and_read_beside_a_deletion)
{
	enum place place = AFTER_MARKS;
	pthread_t deletion, opener;

	make();
	unit_take_snapshot(h, "kmem0@b");
	unit_write_to(disk, 0, 2);
	unit_take_snapshot(h, "kmem0@a");
	unit_write_to(disk, 1, 12);
	deletion = start(&place);
	expect_in("kmem0@b", 1, 11, 21);
	expect_in("kmem0", 2, 12, 21);
	unit_write_to(disk, 600, 22);
	expect_in("kmem0", 2, 12, 22);
	/* This one waits, and finds it gone. */
	ck_assert_int_eq(pthread_create(&opener, NULL, open_deleted, NULL), 0);
	end(deletion, place);
	pthread_join(opener, NULL);
	expect_in("kmem0@b", 1, 11, 21);
	expect_in("kmem0", 2, 12, 22);
	finish();
}
END_TEST

UNIT_MAIN("parked", test_snapshot_is_taken_while_a_writer_has_looked,
	  test_leaf_is_copied_while_a_writer_has_looked,
	  test_snapshot_is_deleted_while_a_writer_has_looked,
	  test_snapshot_before_another_is_deleted_while_a_writer_looks,
	  test_what_was_exchanged_before_the_gate_is_in_the_snapshot,
	  test_blocks_are_replaced_before_a_deletion_has_marked,
	  test_blocks_are_replaced_after_a_deletion_has_marked,
	  test_others_open_and_read_beside_a_deletion)
