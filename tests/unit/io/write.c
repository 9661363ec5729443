/* SPDX-License-Identifier: BSD-3-Clause */
/* write.c - writing whole blocks and parts of them, and what happens when there is no room. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/handle.h"
#include "blocks.h"
#include "common/audit.h"
#include "unit.h"
#include "common/disk.h"

/* msync() fails when told to; only ordinary files come here (see as_ordinary_file()). */
static _Atomic int msync_fails_in = -1;

int __real_msync(void *addr, size_t len, int flags);
int __wrap_msync(void *addr, size_t len, int flags);

int __wrap_msync(void *addr, size_t len, int flags)
{
	if (atomic_load(&msync_fails_in) >= 0 && atomic_fetch_sub(&msync_fails_in, 1) == 0) {
		errno = EIO;
		return -1;
	}
	return __real_msync(addr, len, flags);
}

START_TEST(test_written_is_read_and_stays)
{
	struct kmemblk *h = unit_make(8 * MIB);

	unit_write(h, 0, 1);
	unit_write(h, 511, 2);
	unit_write(h, 512, 3);
	unit_write(h, disk_blocks(h) - 1, 4);
	unit_write(h, 0, 5);
	unit_expect(h, 0, 5);
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect(h, 0, 5);
	unit_expect(h, 511, 2);
	unit_expect(h, 512, 3);
	unit_expect(h, disk_blocks(h) - 1, 4);
	unit_expect_zero(h, 1);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_an_overwrite_goes_to_another_page)
{
	struct kmemblk *h;
	uint64_t before;

	h = unit_make(8 * MIB);
	unit_write(h, 7, 1);
	before = unit_peek_entry(7);
	ck_assert_uint_ne(before, 0);
	unit_write(h, 7, 2);
	ck_assert_uint_ne(unit_peek_entry(7), before);
	ck_assert_int_eq(kmemblk_write(disk_of(h), "x", 1, 7 * PAGE), 0);
	ck_assert_uint_ne(unit_peek_entry(7), 0);
	kmemblk_close(h);
}
END_TEST

/* ---- any offset and length, against plain memory --------------------------------------------- */

#define BLOCKS 1100u

static uint8_t *model, *buf;

static void compare(struct kmemblk *h, uint64_t offset, uint64_t count)
{
	ck_assert_msg(kmemblk_read(disk_of(h), buf, count, offset) == 0, "%s", kmemblk_error());
	ck_assert_msg(memcmp(buf, model + offset, count) == 0, "%llu bytes at %llu differ",
		      (unsigned long long)count, (unsigned long long)offset);
}

static void write_model(struct kmemblk *h, uint64_t offset, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		model[offset + i] = (uint8_t)rand();
	ck_assert_msg(kmemblk_write(disk_of(h), model + offset, count, offset) == 0, "%s",
		      kmemblk_error());
}

static struct kmemblk *open_model(void)
{
	model = calloc(BLOCKS, PAGE);
	buf = malloc(BLOCKS * PAGE);
	unit_format_with(&(struct kmemblk_format_options){
		.create_size = 8 * MIB, .disk_size = BLOCKS * PAGE, .spare_pages = 3 });
	return unit_open(0);
}

START_TEST(test_edges)
{
	static const struct {
		uint64_t offset, count;
	} cases[] = {
		{ 0, 1 },
		{ 4095, 1 },
		{ 4095, 2 },
		{ 10, 4086 },
		{ 10, 4087 },
		{ 1, 4094 },
		{ 100, 8192 },
		{ 8192, 4096 + 1 },
		{ 8191, 4096 + 2 },
		{ 511 * PAGE, 2 * PAGE },	/* two leaves */
		{ 511 * PAGE + 9, 2 * PAGE },	/* and with parts */
		{ 200 * PAGE, 64 * PAGE },	/* a chunk */
		{ 200 * PAGE, 65 * PAGE },	/* and one more */
		{ 200 * PAGE, 256 * PAGE },	/* four */
		{ 200 * PAGE, 257 * PAGE },	/* and one more */
		{ 100 * PAGE + 1, 900 * PAGE }, /* several */
		{ 0, BLOCKS * PAGE },		/* all */
		{ BLOCKS * PAGE - 1, 1 },	/* the last byte */
		{ BLOCKS * PAGE, 0 },		/* nothing, at the very end */
		{ 5, 0 },
	};
	struct kmemblk *h = open_model();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_model(h, cases[i].offset, cases[i].count);
		compare(h, cases[i].offset, cases[i].count);
		compare(h, 0, BLOCKS * PAGE);
	}
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	compare(h, 0, BLOCKS * PAGE);
	unit_close_clean(h);
	free(model);
	free(buf);
}
END_TEST

START_TEST(test_random_ranges)
{
	struct kmemblk *h = open_model();

	srand(2);
	for (uint64_t i = 0; i < scale(3000); i++) {
		uint64_t offset = (uint64_t)rand() % (BLOCKS * PAGE);
		uint64_t count = 1 + (uint64_t)rand() % (rand() % 20 == 0 ? 2000000 : 20000);

		if (count > BLOCKS * PAGE - offset)
			count = BLOCKS * PAGE - offset;
		if (rand() % 2)
			write_model(h, offset, count);
		compare(h, offset, count);
	}
	compare(h, 0, BLOCKS * PAGE);
	unit_close_clean(h);
	free(model);
	free(buf);
}
END_TEST

/* ---- refusals -------------------------------------------------------------------------------- */

START_TEST(test_out_of_range_changes_nothing)
{
	struct kmemblk *h;
	uint64_t size;

	h = unit_make(8 * MIB);
	size = disk_blocks(h) * PAGE;
	unit_write(h, disk_blocks(h) - 1, 1);
	unit_expect_error(kmemblk_write(disk_of(h), "abc", 3, size - 2), EINVAL,
			  "are not inside the disk");
	unit_expect_error(kmemblk_write(disk_of(h), "abc", 1, size), EINVAL,
			  "are not inside the disk");
	unit_expect_error(kmemblk_write(disk_of(h), "abc", 3, ~0ull - 1), EINVAL, "are not inside");
	unit_expect_error(kmemblk_write(disk_of(h), "abc", SIZE_MAX, 1), EINVAL, "are not inside");
	unit_expect(h, disk_blocks(h) - 1, 1);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_read_only_and_not_started)
{
	struct kmemblk *h;

	unit_format(8 * MIB, 0);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_error(kmemblk_write(disk_of(h), "abc", 3, 0), EROFS, "opened read-only");
	kmemblk_close(h);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	unit_expect_error(kmemblk_write(disk_of(h), "abc", 3, 0), EINVAL, "kmemblk_start()");
	kmemblk_close(h);
}
END_TEST

START_TEST(test_type_none_has_no_volume)
{
	struct kmemblk_volume *volume;
	struct kmemblk *h;

	unit_format_with(&(struct kmemblk_format_options){ .create_size = MIB, .type = "none" });
	h = unit_open(0);
	unit_expect_error(kmemblk_volume_open(h, NULL, &volume), ENOENT, "there are: none");
	unit_expect_error(kmemblk_volume_create(h, "a", PAGE, 0), EINVAL,
			  "type none has no volumes");
	kmemblk_close(h);
}
END_TEST

/* ---- no room, bad media ----------------------------------------------------------------------- */

static void *overwrite(void *opaque)
{
	struct kmemblk *h = opaque;
	uint8_t bytes[3 * PAGE + 100];

	memset(bytes, 3, sizeof(bytes));
	for (uint64_t i = 0; i < scale(600); i++) {
		uint64_t at = i * 997 * PAGE % ((disk_blocks(h) - 4) * PAGE);

		if (kmemblk_write(disk_of(h), bytes, sizeof(bytes), at + i % 4096) != 0)
			return h;
	}
	return NULL;
}

START_TEST(test_a_spare_of_one_serves_sixteen_writers_of_a_full_disk)
{
	pthread_t threads[16];
	struct kmemblk *h;
	void *failed;

	unit_format_with(&(struct kmemblk_format_options){
		.create_size = MIB, .spare_pages = 1, .flags = KMEMBLK_FORMAT_PREALLOC });
	h = unit_open(0);
	for (int i = 0; i < 16; i++)
		pthread_create(&threads[i], NULL, overwrite, h);
	for (int i = 0; i < 16; i++) {
		pthread_join(threads[i], &failed);
		ck_assert(failed == NULL);
	}
	unit_close_clean(h);
}
END_TEST

/* More blocks than there is room for, in one request: each is what it was, or what was written, and no sum is wrong. */
START_TEST(test_a_request_that_room_runs_out_for)
{
	const uint64_t kept = 100, more = 180;
	struct kmemblk *h = unit_make(MIB);
	struct kmemblk_volume *v = unit_open_volume(h, "kmem0"), *s;
	static uint8_t bytes[180 * PAGE], block[PAGE];
	uint64_t written = 0;
	char why[200];

	for (uint64_t i = 0; i < kept; i++)
		unit_write_to(v, i, 1 + i);
	/* What the snapshot has is beside what is to be overwritten. */
	unit_take_snapshot(h, "kmem0@a");
	ck_assert_uint_ge(disk_blocks(h), kept / 2 + more);
	for (uint64_t i = 0; i < more; i++)
		unit_fill(bytes + i * PAGE, 1000 + i);
	unit_expect_error(kmemblk_write(v, bytes, more * PAGE, kept / 2 * PAGE), ENOSPC, "write");
	for (uint64_t i = 0; i < more; i++) {
		uint64_t at = kept / 2 + i;

		ck_assert_int_eq(kmemblk_read(v, block, PAGE, at * PAGE), 0);
		if (unit_is(block, 1000 + i))
			written++;
		else if (at < kept)
			ck_assert(unit_is(block, 1 + at));
		else
			ck_assert(unit_is_zero(block, PAGE));
	}
	ck_assert_uint_gt(written, 0);
	ck_assert_uint_lt(written, more);
	s = unit_open_volume(h, "kmem0@a");
	for (uint64_t i = 0; i < kept; i++) {
		unit_write_to(v, i, 2000 + i);
		unit_expect_in(s, i, 1 + i);
	}
	kmemblk_volume_close(s);
	kmemblk_volume_close(v);
	ck_assert_msg(audit(h, why, sizeof(why)), "%s", why);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_media_error_in_a_leaf)
{
	struct kmemblk *h = unit_make(8 * MIB);
	char words[64];
	uint64_t leaf;

	unit_write(h, 0, 1);
	unit_write(h, 1000, 2);
	leaf = unit_table(1000, 1);
	snprintf(words, sizeof(words), "cut short before page %llu", (unsigned long long)leaf);
	/* All up to it are left. */
	ck_assert_int_eq(truncate(unit_device, (off_t)(leaf * PAGE)), 0);
	unit_expect_error(kmemblk_write(disk_of(h), "abc", 3, 1000 * PAGE), EIO, words);
	ck_assert_int_eq(kmemblk_flush(disk_of(h)), 0);
	kmemblk_close(h);
}
END_TEST

/* The handle as if its tmpfs file were one that needs msync. */
static struct kmemblk *as_ordinary_file(void)
{
	struct kmemblk *h = unit_make(8 * MIB);

	h->device.pm.media = PM_FILE;
	unit_write(h, 3, 1);
	return h;
}

/* A write of `len` bytes to block 3 whose n-th msync fails. */
static void fail_msync(int n, size_t len)
{
	struct kmemblk *h = as_ordinary_file();
	struct kmemblk_info info;
	uint8_t bytes[PAGE], now[PAGE];

	unit_fill(bytes, 2);
	atomic_store(&msync_fails_in, n);
	unit_expect_error(kmemblk_write(disk_of(h), bytes, len, 3 * PAGE), EIO, "now read-only");
	/* Each block holds its old or its new contents ... */
	ck_assert_int_eq(kmemblk_read(disk_of(h), now, PAGE, 3 * PAGE), 0);
	ck_assert(unit_is(now, 1) || memcmp(now, bytes, len) == 0);
	/* ... and nothing more is written. */
	unit_expect_error(kmemblk_write(disk_of(h), bytes, PAGE, 0), EROFS,
			  "read-only since a failure");
	unit_expect_error(kmemblk_trim(disk_of(h), PAGE, 0), EROFS, "read-only since a failure");
	unit_expect_error(kmemblk_zero(disk_of(h), PAGE, 0, 0), EROFS, "read-only since a failure");
	unit_expect_error(kmemblk_flush(disk_of(h)), EIO, "earlier failure to persist");
	kmemblk_get_info(h, &info);
	ck_assert_int_eq(info.readonly, 1);
	unit_close_clean(h);
	unlink(unit_device);
}

START_TEST(test_failure_to_persist_ends_writing)
{
	fail_msync(0, PAGE);
	fail_msync(1, PAGE);
	fail_msync(0, 100);
	fail_msync(1, 100);
}
END_TEST

START_TEST(test_after_a_failure_to_persist_the_old_page_is_not_reused)
{
	struct kmemblk *h = as_ordinary_file();
	uint64_t old = unit_peek_page(3);
	uint8_t bytes[PAGE];
	bool free_again;

	unit_fill(bytes, 2);
	/* The second msync is that of the entry: the media may still name the old page. */
	atomic_store(&msync_fails_in, 1);
	ck_assert_int_eq(kmemblk_write(disk_of(h), bytes, PAGE, 3 * PAGE), -EIO);
	/* Through its grace period. */
	AWAIT(unit_info(h).pages_retired == 0);
	unit_peek(old * PAGE, bytes, PAGE);
	ck_assert(unit_is(bytes, 1));
	pthread_mutex_lock(&h->pool.lock);
	free_again = pageset_has(&h->pool.resident, old) || h->pool.recent.count > 0;
	pthread_mutex_unlock(&h->pool.lock);
	ck_assert(!free_again);
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("write", test_a_request_that_room_runs_out_for, test_written_is_read_and_stays,
	  test_an_overwrite_goes_to_another_page, test_edges, test_random_ranges,
	  test_out_of_range_changes_nothing, test_read_only_and_not_started,
	  test_type_none_has_no_volume, test_a_spare_of_one_serves_sixteen_writers_of_a_full_disk,
	  test_media_error_in_a_leaf, test_failure_to_persist_ends_writing,
	  test_after_a_failure_to_persist_the_old_page_is_not_reused)
