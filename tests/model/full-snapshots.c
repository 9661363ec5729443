/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * full-snapshots.c - with a spare of one page, a snapshot and no page left, all of the volume can be overwritten; of a
 * thin volume all can be trimmed, and the snapshot deleted.
 *
 * Sixteen threads overwrite what the snapshot has, whole and in part, and then trim and write it again, too.  What the
 * volume shares is reserved, so no call may ever fail; a thread that waits for ever is ended by the test's time
 * limit.  Then the same with a thin volume that fills nearly all of the device: a write may be refused, and nothing else
 * may, also while the snapshot is deleted.
 *
 * Threads yield often where they are about to take a lock: see full-disk.c.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "harness.h"
#include "common/audit.h"
#include "common/disk.h"

#define THREADS 16
#define MOST	32u /* blocks a request */

static char *path;
static struct kmemblk *handle;
static struct kmemblk_volume *disk;
static uint32_t blocks; /* that are written to */
static unsigned int operations;
static bool with_trims, thin;
static _Atomic unsigned int refused;

struct thread {
	pthread_t thread;
	uint32_t number;
	uint64_t random;
	uint8_t buf[MOST * BLOCK_SIZE];
};

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	static __thread unsigned int calls;

	if (++calls % 3 == 0)
		sched_yield();
	return __real_pthread_mutex_lock(mutex);
}

static void expect_written(int rc)
{
	if (rc == -ENOSPC && thin)
		atomic_fetch_add(&refused, 1);
	else
		CHECK_CALL(rc);
}

static void write_blocks(struct thread *thread, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		block_fill(thread->buf + i * BLOCK_SIZE, first + i, 2 + thread->number);
	expect_written(kmemblk_write(disk, thread->buf, (size_t)count * BLOCK_SIZE,
				     (uint64_t)first * BLOCK_SIZE));
}

static void write_part(struct thread *thread, uint32_t first)
{
	uint32_t at = random_below(&thread->random, BLOCK_SIZE - 1);

	expect_written(kmemblk_write(disk, thread->buf, BLOCK_SIZE - at,
				     (uint64_t)first * BLOCK_SIZE + at));
}

static void unmap(struct thread *thread, uint32_t first, uint32_t count)
{
	uint64_t offset = (uint64_t)first * BLOCK_SIZE, length = (uint64_t)count * BLOCK_SIZE;

	if (random_below(&thread->random, 2) == 0)
		CHECK_CALL(kmemblk_trim(disk, length, offset));
	else
		CHECK_CALL(kmemblk_zero(disk, length, offset, 0));
}

static void *overwrite(void *opaque)
{
	struct thread *thread = opaque;

	for (unsigned int i = 0; i < operations; i++) {
		uint32_t count = 1 + random_below(&thread->random, MOST), first;

		if (count > blocks || random_below(&thread->random, 2))
			count = 1;
		first = random_below(&thread->random, blocks - count + 1);
		switch (random_below(&thread->random, with_trims ? 4 : 3)) {
		case 0:
			write_part(thread, first);
			break;
		case 3:
			unmap(thread, first, count);
			break;
		default:
			write_blocks(thread, first, count);
		}
	}
	return NULL;
}

static void start_threads(struct thread *threads)
{
	for (uint32_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i].thread, NULL, overwrite, &threads[i]) == 0,
		      "pthread_create");
}

static void join_threads(struct thread *threads)
{
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i].thread, NULL);
}

static void run_threads(struct thread *threads)
{
	start_threads(threads);
	join_threads(threads);
}

/* Nothing has leaked, and what is reserved is what the maps say. */
static void expect_sound(void)
{
	char why[200];

	CHECK(audit(handle, why, sizeof(why)), "%s", why);
}

static void make(unsigned int pages)
{
	path = test_make_device((uint64_t)pages * BLOCK_SIZE, 1);
	handle = test_open(path);
	disk = disk_in_use(handle);
}

static void snapshot(unsigned int flags)
{
	static const char *const name = "kmem0@s";

	CHECK_CALL(kmemblk_snapshot(handle, &name, 1, flags));
}

static void expect_kept(uint32_t count)
{
	struct kmemblk_volume *s;
	uint8_t bytes[BLOCK_SIZE];
	uint64_t version;

	CHECK_CALL(kmemblk_volume_open(handle, "kmem0@s", &s));
	for (uint32_t i = 0; i < count; i++) {
		CHECK_CALL(kmemblk_read(s, bytes, BLOCK_SIZE, (uint64_t)i * BLOCK_SIZE));
		CHECK(block_version(bytes, i, &version) && version == 1, "block %u of the snapshot",
		      i);
	}
	kmemblk_volume_close(s);
}

static int write_first(uint32_t block)
{
	uint8_t bytes[BLOCK_SIZE];

	block_fill(bytes, block, 1);
	return kmemblk_write(disk, bytes, BLOCK_SIZE, (uint64_t)block * BLOCK_SIZE);
}

/* The volume has half of the pages when the snapshot is made, and then grows until none is left. */
static void overwrite_all(struct thread *threads, unsigned int pages, unsigned int count)
{
	uint32_t kept = (pages - 12) / 2 - pages / 256;

	operations = count;
	thin = false;
	make(pages);
	for (uint32_t i = 0; i < kept; i++)
		CHECK_CALL(write_first(i));
	snapshot(0);
	blocks = kept;
	while (write_first(blocks) == 0)
		blocks++;
	CHECK(handle->pool.reserved + 1 == handle->pool.usable, "it is not full");
	with_trims = false;
	run_threads(threads);
	expect_sound();
	expect_kept(kept);
	with_trims = true;
	run_threads(threads);
	expect_sound();
	expect_kept(kept);
	CHECK_CALL(kmemblk_volume_delete(handle, "kmem0@s", 0));
	expect_sound();
	test_close_and_check(handle, path, UINT64_MAX);
	free(path);
}

/* All but a few pages are the volume's when the snapshot is made. */
static void fill_thin(struct thread *threads, unsigned int pages, unsigned int count)
{
	uint32_t kept = pages - 10 - pages / 128;
	struct kmemblk_volume_info info;

	operations = count;
	thin = true;
	atomic_store(&refused, 0);
	make(pages);
	for (uint32_t i = 0; i < kept; i++)
		CHECK_CALL(write_first(i));
	snapshot(KMEMBLK_THIN);
	kmemblk_volume_get_info(disk, &info);
	CHECK(info.is_thin, "it is not thin");
	blocks = kept;
	with_trims = false;
	run_threads(threads);
	CHECK(refused > 0 && handle->pool.reserved + 1 == handle->pool.usable, "it is not full");
	expect_sound();
	/* At 100 per cent. */
	with_trims = true;
	run_threads(threads);
	expect_sound();
	expect_kept(kept);
	start_threads(threads);
	CHECK_CALL(kmemblk_volume_delete(handle, "kmem0@s", 0));
	join_threads(threads);
	expect_sound();
	CHECK_CALL(kmemblk_trim(disk, (uint64_t)blocks * BLOCK_SIZE, 0));
	/* There is a page for each block again. */
	thin = false;
	for (uint32_t i = 0; i < blocks; i++)
		write_blocks(&threads[0], i, 1);
	expect_sound();
	test_close_and_check(handle, path, blocks);
	free(path);
}

int main(void)
{
	struct thread *threads = calloc(THREADS, sizeof(threads[0]));

	CHECK(threads != NULL, "out of memory");
	for (uint32_t i = 0; i < THREADS; i++) {
		threads[i].number = i;
		threads[i].random = i;
		memset(threads[i].buf, 'x', sizeof(threads[i].buf));
	}
	/* From one block, which all want, to some hundreds in several leaves. */
	overwrite_all(threads, 14, scale_races(40));
	overwrite_all(threads, 40, scale_races(40));
	overwrite_all(threads, 1500, scale_races(40));
	fill_thin(threads, 20, scale_races(40));
	fill_thin(threads, 60, scale_races(40));
	fill_thin(threads, 1500, scale_races(40));
	free(threads);
	return 0;
}
