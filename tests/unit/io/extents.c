/* SPDX-License-Identifier: BSD-3-Clause */
/* extents.c - which parts of the disk have pages. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"
#include "common/disk.h"

#define MOST 64u

struct seen {
	unsigned int count, stop_after;
	int answer; /* of the last one before stopping */
	struct {
		uint64_t offset, count;
		unsigned int flags;
	} extent[MOST];
};

static int see(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct seen *seen = opaque;

	ck_assert_uint_lt(seen->count, MOST);
	seen->extent[seen->count].offset = offset;
	seen->extent[seen->count].count = count;
	seen->extent[seen->count++].flags = flags;
	return seen->count == seen->stop_after ? seen->answer : 0;
}

/* The next one seen must be this. */
static unsigned int next_seen;

static void expect(const struct seen *seen, uint64_t offset, uint64_t count, unsigned int flags)
{
	unsigned int i = next_seen++;

	ck_assert_uint_lt(i, seen->count);
	ck_assert_uint_eq(seen->extent[i].offset, offset);
	ck_assert_uint_eq(seen->extent[i].count, count);
	ck_assert_uint_eq(seen->extent[i].flags, flags);
}

static struct seen ask(struct kmemblk *h, uint64_t count, uint64_t offset)
{
	struct seen seen = { 0 };

	next_seen = 0;
	ck_assert_msg(kmemblk_extents(disk_of(h), count, offset, see, &seen) == 0, "%s",
		      kmemblk_error());
	return seen;
}

#define HOLE KMEMBLK_EXTENT_HOLE

START_TEST(test_empty_disk_is_one_hole)
{
	struct kmemblk *h;
	struct seen seen;

	unit_format(64 * MIB, 0);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	seen = ask(h, disk_blocks(h) * PAGE, 0);
	expect(&seen, 0, disk_blocks(h) * PAGE, HOLE);
	ck_assert_uint_eq(seen.count, 1);
	seen = ask(h, 100, 5);
	expect(&seen, 5, 100, HOLE);
	seen = ask(h, 0, 5);
	ck_assert_uint_eq(seen.count, 0);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_runs_are_joined_and_cut_to_the_request)
{
	struct kmemblk *h;
	struct seen seen;

	h = unit_make(64 * MIB);
	/* Across two leaves, in no order. */
	for (uint64_t block = 600; block >= 500; block--)
		unit_write(h, block, block);
	unit_write(h, 3000, 1);
	seen = ask(h, disk_blocks(h) * PAGE, 0);
	expect(&seen, 0, 500 * PAGE, HOLE);
	expect(&seen, 500 * PAGE, 101 * PAGE, 0);
	expect(&seen, 601 * PAGE, 2399 * PAGE, HOLE);
	expect(&seen, 3000 * PAGE, PAGE, 0);
	expect(&seen, 3001 * PAGE, (disk_blocks(h) - 3001) * PAGE, HOLE);
	ck_assert_uint_eq(seen.count, 5);
	/* Bytes, never beyond what was asked. */
	seen = ask(h, PAGE, 499 * PAGE + 1);
	expect(&seen, 499 * PAGE + 1, PAGE - 1, HOLE);
	expect(&seen, 500 * PAGE, 1, 0);
	ck_assert_uint_eq(seen.count, 2);
	seen = ask(h, 10, 550 * PAGE + 3);
	expect(&seen, 550 * PAGE + 3, 10, 0);
	ck_assert_uint_eq(seen.count, 1);
	/* A trimmed block is a hole again, one of zeroes is not. */
	ck_assert_int_eq(kmemblk_trim(disk_of(h), PAGE, 550 * PAGE), 0);
	ck_assert_int_eq(kmemblk_zero(disk_of(h), PAGE, 551 * PAGE, KMEMBLK_ZERO_NO_HOLE), 0);
	seen = ask(h, 3 * PAGE, 549 * PAGE);
	expect(&seen, 549 * PAGE, PAGE, 0);
	expect(&seen, 550 * PAGE, PAGE, HOLE);
	expect(&seen, 551 * PAGE, PAGE, 0);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_callback_stops_or_fails)
{
	struct seen seen = { .stop_after = 2, .answer = 1 };
	struct kmemblk *h = unit_make(64 * MIB);

	for (uint64_t block = 1; block < 10; block += 2)
		unit_write(h, block, block);
	ck_assert_int_eq(kmemblk_extents(disk_of(h), 10 * PAGE, 0, see, &seen), 0);
	ck_assert_uint_eq(seen.count, 2);
	seen = (struct seen){ .stop_after = 3, .answer = -ENOTBLK };
	ck_assert_int_eq(kmemblk_extents(disk_of(h), 10 * PAGE, 0, see, &seen), -ENOTBLK);
	ck_assert_uint_eq(seen.count, 3);
	/* The last one counts, too. */
	seen = (struct seen){ .stop_after = 1, .answer = -ENOTBLK };
	ck_assert_int_eq(kmemblk_extents(disk_of(h), PAGE, 0, see, &seen), -ENOTBLK);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_out_of_range_and_unreadable)
{
	struct seen seen = { 0 };
	struct kmemblk *h;
	uint64_t size, leaf;
	char words[64];

	if (!unit_faults_work())
		return;
	h = unit_make(64 * MIB);
	size = disk_blocks(h) * PAGE;
	unit_write(h, 1000, 1);
	unit_expect_error(kmemblk_extents(disk_of(h), 2, size - 1, see, &seen), EINVAL,
			  "extents: ");
	unit_expect_error(kmemblk_extents(disk_of(h), ~0ull, 1, see, &seen), EINVAL, "extents: ");
	ck_assert_uint_eq(seen.count, 0);
	/* A damaged entry is not a hole. */
	unit_poke_entry(1001, ~0ull);
	seen = ask(h, 2 * PAGE, 1000 * PAGE);
	expect(&seen, 1000 * PAGE, 2 * PAGE, 0);
	leaf = unit_table(1000, 1);
	snprintf(words, sizeof(words), "cut short before page %llu", (unsigned long long)leaf);
	ck_assert_int_eq(truncate(unit_device, PAGE), 0);
	unit_expect_error(kmemblk_extents(disk_of(h), PAGE, 1000 * PAGE, see, &seen), EIO, words);
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("extents", test_empty_disk_is_one_hole, test_runs_are_joined_and_cut_to_the_request,
	  test_callback_stops_or_fails, test_out_of_range_and_unreadable)
