/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * full-disk.c - with a spare of one page and every block mapped, overwriting always succeeds.
 *
 * The device has exactly one page more than the disk's blocks, and what finds them, take.  Sixteen
 * threads overwrite: single blocks, many at once, parts.  Then they also trim, zero and write again
 * the same few blocks, so that the last pages change hands all the time.  As many pages as blocks are
 * reserved for blocks, so no call may ever fail; a thread that waits for ever is ended by the test's
 * time limit.
 *
 * Threads yield often where they are about to take a lock, since there, what they have seen before is
 * growing old: the linker puts __wrap_pthread_mutex_lock() in the place of pthread_mutex_lock().
 */
#include "config.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "harness.h"
#include "common/disk.h"

#define THREADS 16
#define MOST	32u /* blocks a request */

static struct kmemblk *handle;
static uint32_t blocks;
static unsigned int operations;
static bool with_trims;

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

static void write_blocks(struct thread *thread, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		block_fill(thread->buf + i * BLOCK_SIZE, first + i, 1 + thread->number);
	CHECK_CALL(kmemblk_write(disk_in_use(handle), thread->buf, (size_t)count * BLOCK_SIZE,
				 (uint64_t)first * BLOCK_SIZE));
}

static void write_part(struct thread *thread, uint32_t first, uint32_t count)
{
	uint32_t front = 1 + random_below(&thread->random, BLOCK_SIZE / 2 - 1);
	uint32_t back = 1 + random_below(&thread->random, BLOCK_SIZE / 2 - 1);

	CHECK_CALL(kmemblk_write(disk_in_use(handle), thread->buf,
				 (size_t)count * BLOCK_SIZE - front - back,
				 (uint64_t)first * BLOCK_SIZE + front));
}

static void unmap(struct thread *thread, uint32_t first, uint32_t count)
{
	uint64_t offset = (uint64_t)first * BLOCK_SIZE, length = (uint64_t)count * BLOCK_SIZE;

	switch (random_below(&thread->random, 3)) {
	case 0:
		CHECK_CALL(kmemblk_trim(disk_in_use(handle), length, offset));
		break;
	case 1:
		CHECK_CALL(kmemblk_zero(disk_in_use(handle), length, offset, 0));
		break;
	default:
		CHECK_CALL(kmemblk_zero(disk_in_use(handle), length, offset, KMEMBLK_ZERO_NO_HOLE));
	}
}

static void *overwrite(void *opaque)
{
	struct thread *thread = opaque;

	for (unsigned int i = 0; i < operations; i++) {
		bool one = random_below(&thread->random, 2);
		uint32_t count = one ? 1 : 1 + random_below(&thread->random, MOST);
		/* Half of them in the first blocks. */
		uint32_t among = random_below(&thread->random, 2) ? count + 3 : blocks;
		uint32_t first;

		if (count > blocks)
			count = blocks;
		if (among < count || among > blocks)
			among = blocks;
		first = random_below(&thread->random, among - count + 1);
		switch (random_below(&thread->random, with_trims ? 4 : 3)) {
		case 0:
			write_part(thread, first, count);
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

static void run_threads(struct thread *threads)
{
	for (uint32_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i].thread, NULL, overwrite, &threads[i]) == 0,
		      "pthread_create");
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i].thread, NULL);
}

static void check_pages(uint64_t used)
{
	struct kmemblk_info info;

	kmemblk_get_info(handle, &info);
	/* A record and a leaf besides. */
	CHECK(info.data_pages == info.blocks + 1 + 2 && info.pages_spare == 1,
	      "%llu data pages, %llu blocks", (unsigned long long)info.data_pages,
	      (unsigned long long)info.blocks);
	CHECK(info.pages_used == used, "%llu pages are used instead of %llu",
	      (unsigned long long)info.pages_used, (unsigned long long)used);
	blocks = (uint32_t)info.blocks;
}

/* A device of so many pages, of which seven are not for blocks. */
static void fill_and_overwrite(struct thread *threads, unsigned int pages, unsigned int count)
{
	char *path = test_make_device((uint64_t)pages * BLOCK_SIZE, 1);

	operations = count;
	handle = test_open(path);
	check_pages(0);
	for (uint32_t i = 0; i < blocks; i++)
		write_blocks(&threads[0], i, 1);
	check_pages(blocks);
	with_trims = false;
	run_threads(threads);
	check_pages(blocks);
	with_trims = true;
	run_threads(threads);
	for (uint32_t i = 0; i < blocks; i++)
		write_blocks(&threads[0], i, 1);
	check_pages(blocks);
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
	/* From one block, which all want (each write then waits for a page), to some hundreds. */
	fill_and_overwrite(threads, 8, scale_races(200));
	fill_and_overwrite(threads, 11, scale_races(200));
	fill_and_overwrite(threads, 67, scale_races(150));
	fill_and_overwrite(threads, 503, scale_races(150));
	free(threads);
	return 0;
}
