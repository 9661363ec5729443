/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * diff-random.c - what kmemblk_diff() tells is compared with all bytes of both views, after changes at random, and
 * while others write.
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
#include "common/random.h"
#include "io/volume.h"
#include "ranges.h"
#include "unit.h"

static struct kmemblk *h;

static void resize(const char *name, uint64_t blocks)
{
	ck_assert_msg(kmemblk_volume_resize(h, name, blocks * PAGE, KMEMBLK_VOLUME_FORCE) == 0,
		      "%s", kmemblk_error());
}

#define BLOCKS 1400u
#define VIEWS  12u

static uint64_t random_state;
static uint64_t numbers; /* that were written, each different */

static uint32_t any(uint32_t limit)
{
	return random_below(&random_state, limit);
}

/* A view, read whole; past its end there are zeroes. */
struct whole {
	char name[128];
	struct kmemblk_volume *v;
	uint64_t blocks;
	uint8_t *bytes;
};

static struct whole wholes[VIEWS];
static unsigned int whole_count;

static int read_view(void *opaque, const struct kmemblk_volume_info *info)
{
	struct whole *w = &wholes[whole_count++];

	(void)opaque;
	ck_assert_uint_le(whole_count, VIEWS);
	strcpy(w->name, info->name);
	w->blocks = info->blocks;
	return 0;
}

struct told {
	struct ranges ranges;
	uint8_t kind[BLOCKS]; /* 0: not told */
};

static int mark(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct told *told = opaque;

	ranges_expect_next(&told->ranges, offset, count, flags);
	ck_assert_uint_le(offset + count, (uint64_t)BLOCKS * PAGE);
	memset(&told->kind[offset / PAGE], flags & KMEMBLK_EXTENT_HOLE ? 'z' : 'd', count / PAGE);
	return 0;
}

static void compare_pair(const struct whole *from, const struct whole *to)
{
	static struct told told;

	memset(&told, 0, sizeof(told));
	ck_assert_msg(kmemblk_diff(from == NULL ? NULL : from->v, to->v, mark, &told) == 0, "%s",
		      kmemblk_error());
	ck_assert_uint_le(told.ranges.end, to->blocks * PAGE);
	for (uint64_t b = 0; b < to->blocks; b++) {
		const uint8_t *has = to->bytes + b * PAGE;
		bool differs = from == NULL ? !unit_is_zero(has, PAGE)
					    : memcmp(has, from->bytes + b * PAGE, PAGE) != 0;

		ck_assert_msg(!differs || told.kind[b] != 0, "block %llu of %s and %s",
			      (unsigned long long)b, from == NULL ? "none" : from->name, to->name);
		ck_assert_msg(told.kind[b] != 'z' || unit_is_zero(has, PAGE),
			      "block %llu of %s is no hole", (unsigned long long)b, to->name);
		/* Past the end of the smaller no hole is told. */
		ck_assert(told.kind[b] != 'z' || (from != NULL && b < from->blocks));
	}
}

static void compare_all_pairs(void)
{
	whole_count = 0;
	ck_assert_int_eq(kmemblk_volume_list(h, read_view, NULL), 0);
	for (unsigned int i = 0; i < whole_count; i++) {
		struct whole *w = &wholes[i];

		w->bytes = calloc(BLOCKS, PAGE);
		w->v = unit_open_volume(h, w->name);
		ck_assert_int_eq(kmemblk_read(w->v, w->bytes, w->blocks * PAGE, 0), 0);
	}
	for (unsigned int i = 0; i < whole_count; i++) {
		compare_pair(NULL, &wholes[i]);
		for (unsigned int j = 0; j < whole_count; j++)
			compare_pair(&wholes[i], &wholes[j]);
	}
	for (unsigned int i = 0; i < whole_count; i++) {
		kmemblk_volume_close(wholes[i].v);
		free(wholes[i].bytes);
	}
}

static bool has_volume(const char *name)
{
	struct kmemblk_volume *v;
	bool has = kmemblk_volume_open(h, name, &v) == 0;

	if (has)
		kmemblk_volume_close(v);
	return has;
}

static void change_blocks(const char *name)
{
	struct kmemblk_volume *v = unit_open_volume(h, name);
	struct kmemblk_volume_info info;

	kmemblk_volume_get_info(v, &info);
	for (unsigned int i = any(8); i > 0; i--) {
		uint64_t block = any((uint32_t)info.blocks), n = 1 + any(any(4) ? 4 : 600);

		if (n > info.blocks - block)
			n = info.blocks - block;
		switch (any(5)) {
		case 0:
			ck_assert_int_eq(kmemblk_trim(v, n * PAGE, block * PAGE), 0);
			break;
		case 1:
			ck_assert_int_eq(kmemblk_zero(v, n * PAGE, block * PAGE,
						      any(2) ? KMEMBLK_ZERO_NO_HOLE : 0),
					 0);
			break;
		default:
			for (uint64_t b = 0; b < n; b++)
				unit_write_to(v, block + b, ++numbers);
		}
	}
	kmemblk_volume_close(v);
}

/* Some of it is refused, as what is younger, or a clone, stands in the way. */
static void change_anything(void)
{
	const char *volume = any(3) == 0 && has_volume("c") ? "c" : "kmem0";
	char name[24];

	snprintf(name, sizeof(name), "%s@%u", volume, any(4));
	switch (any(8)) {
	case 0:
		if (has_volume(name))
			(void)kmemblk_volume_delete(h, name, 0);
		break;
	case 1:
		resize(volume, 1 + any(BLOCKS));
		break;
	case 2:
		if (has_volume(name))
			(void)kmemblk_volume_rollback(h, name, KMEMBLK_VOLUME_FORCE);
		break;
	case 3:
		if (has_volume("c"))
			(void)kmemblk_volume_delete(h, "c", 0);
		else if (has_volume(name))
			ck_assert_int_eq(kmemblk_volume_clone(h, name, "c", 0), 0);
		break;
	default:
		if (!has_volume(name))
			unit_take_snapshot(h, name);
	}
}

START_TEST(test_at_random)
{
	for (unsigned int seed = 1; seed <= (WITH_TSAN ? 1 : scale(8)); seed++) {
		random_state = seed;
		h = unit_make(128 * MIB);
		resize("kmem0", seed % 2 ? BLOCKS : 300);
		for (unsigned int i = 0; i < 120; i++) {
			change_blocks(any(3) == 0 && has_volume("c") ? "c" : "kmem0");
			change_anything();
			if (i % 12 == 11)
				compare_all_pairs();
		}
		kmemblk_close(h);
		unlink(unit_device);
	}
}
END_TEST

/* ---- beside writers ------------------------------------------------------------------------- */

#define WRITERS 3u
#define OWN	40u

/* A writer's blocks are written in a ring, a number that no block has had, or trimmed. */
struct writer {
	struct kmemblk_volume *v;
	unsigned int number;
	_Atomic uint64_t begun, done;
};

static struct writer writers[WRITERS];
static _Atomic bool stop;

static uint64_t block_of(unsigned int writer, uint64_t i)
{
	return i % OWN % 3 * 512 + writer * OWN + i % OWN / 3;
}

static void *write_on(void *opaque)
{
	struct writer *w = opaque;

	for (uint64_t i = 0; !atomic_load(&stop); i++) {
		atomic_store(&w->begun, i + 1);
		if (i % 7 == 0)
			ck_assert_int_eq(kmemblk_trim(w->v, PAGE, block_of(w->number, i) * PAGE),
					 0);
		else
			unit_write_to(w->v, block_of(w->number, i), 1000 + i * WRITERS + w->number);
		atomic_store(&w->done, i + 1);
	}
	return NULL;
}

/* What all blocks had before the writers began is never there again: so what they have changed differs. */
static void compare_with_beginning(struct kmemblk_volume *s, struct kmemblk_volume *v, bool back)
{
	uint64_t done[WRITERS];
	static struct told told;

	memset(&told, 0, sizeof(told));
	for (unsigned int t = 0; t < WRITERS; t++)
		done[t] = atomic_load(&writers[t].done);
	ck_assert_msg(kmemblk_diff(back ? v : s, back ? s : v, mark, &told) == 0, "%s",
		      kmemblk_error());
	for (unsigned int t = 0; t < WRITERS; t++)
		for (uint64_t i = 0; i < OWN; i++) {
			ck_assert(i >= done[t] || told.kind[block_of(t, i)] != 0);
			ck_assert(i < atomic_load(&writers[t].begun) ||
				  told.kind[block_of(t, i)] == 0);
			ck_assert(!back || told.kind[block_of(t, i)] != 'z');
		}
	for (uint64_t b = WRITERS * OWN; b < 512; b++)
		ck_assert_uint_eq(told.kind[b], 0);
}

/* Snapshots that are made meanwhile, compared with what they hold. */
static void compare_snapshots(const char *from, const char *to)
{
	static uint8_t bytes[2][BLOCKS * PAGE];
	struct whole w[2] = { { .bytes = bytes[0] }, { .bytes = bytes[1] } };

	for (unsigned int i = 0; i < 2; i++) {
		strcpy(w[i].name, i == 0 ? from : to);
		w[i].v = unit_open_volume(h, w[i].name);
		w[i].blocks = BLOCKS;
		ck_assert_int_eq(kmemblk_read(w[i].v, bytes[i], sizeof(bytes[i]), 0), 0);
	}
	compare_pair(&w[0], &w[1]);
	kmemblk_volume_close(w[0].v);
	kmemblk_volume_close(w[1].v);
}

START_TEST(test_beside_writers)
{
	char last[24] = "kmem0@first", name[24];
	pthread_t threads[WRITERS];
	struct kmemblk_volume *v, *s;

	h = unit_make(64 * MIB);
	resize("kmem0", BLOCKS);
	v = unit_open_volume(h, "kmem0");
	for (unsigned int t = 0; t < WRITERS; t++)
		for (uint64_t i = 0; i < OWN; i++)
			unit_write_to(v, block_of(t, i), 1 + i);
	unit_take_snapshot(h, "kmem0@first");
	s = unit_open_volume(h, "kmem0@first");
	for (unsigned int t = 0; t < WRITERS; t++) {
		writers[t] = (struct writer){ .v = v, .number = t };
		pthread_create(&threads[t], NULL, write_on, &writers[t]);
	}
	for (uint64_t round = 0; round < scale_races(60); round++) {
		for (unsigned int i = 0; i < 20; i++)
			compare_with_beginning(s, v, i % 2);
		snprintf(name, sizeof(name), "kmem0@%llu", (unsigned long long)round);
		unit_take_snapshot(h, name);
		compare_snapshots(last, name);
		if (round > 0)
			ck_assert_msg(kmemblk_volume_delete(h, last, 0) == 0, "%s",
				      kmemblk_error());
		strcpy(last, name);
	}
	atomic_store(&stop, true);
	for (unsigned int t = 0; t < WRITERS; t++)
		pthread_join(threads[t], NULL);
	compare_with_beginning(s, v, false);
	kmemblk_volume_close(s);
	kmemblk_volume_close(v);
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("diff-random", test_at_random, test_beside_writers)
