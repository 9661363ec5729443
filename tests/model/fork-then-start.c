/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fork-then-start.c - open, fork, start and work in the child: the way of a daemon.
 *
 * The parent opens; the child starts the handle and works with it from several threads.  The
 * parent closes its copy, as a launching process may, and that takes neither the claim nor the
 * mapping from the child.  A process forked after kmemblk_start() has no mapping.  The child ends
 * without closing; what it wrote is there.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "common/disk.h"

#define THREADS 4u
#define BLOCKS	1000u /* written by each */

static struct kmemblk *handle;
static char *path;

/* True if this process has the device's memfd mapped. */
static bool is_mapped(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	bool found = false;
	char line[512];

	CHECK(maps != NULL, "/proc/self/maps: %m");
	while (fgets(line, sizeof(line), maps) != NULL)
		found = found || strstr(line, "/memfd:" TEST_DEVICE_NAME) != NULL;
	fclose(maps);
	return found;
}

static int wait_for(pid_t child)
{
	int status;

	CHECK(child != -1 && waitpid(child, &status, 0) == child, "fork: %m");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void check_block(struct kmemblk *from, uint32_t block, uint32_t version)
{
	struct content content;
	uint8_t buf[BLOCK_SIZE];

	CHECK_CALL(kmemblk_read(disk_of(from), buf, BLOCK_SIZE, (uint64_t)block * BLOCK_SIZE));
	content = block_recognise(buf, 0, BLOCK_WORDS);
	CHECK(content.kind == CONTENT_VERSION && content.number == block &&
		      content.version == version,
	      "block %u is not as it was written", block);
}

/* Overwrite often enough for pages to come round. */
static void *work(void *opaque)
{
	uint32_t first = (uint32_t)(uintptr_t)opaque * BLOCKS;
	uint8_t buf[BLOCK_SIZE];

	for (uint32_t version = 1; version <= 3; version++) {
		for (uint32_t i = first; i < first + BLOCKS; i++) {
			block_fill(buf, i, version);
			CHECK_CALL(kmemblk_write(disk_of(handle), buf, BLOCK_SIZE,
						 (uint64_t)i * BLOCK_SIZE));
			check_block(handle, i, version);
		}
		CHECK_CALL(kmemblk_trim(disk_of(handle), BLOCK_SIZE, (uint64_t)first * BLOCK_SIZE));
	}
	return NULL;
}

static void be_the_daemon(int closed, int ended)
{
	pthread_t threads[THREADS];
	pid_t child;
	char byte;

	CHECK_CALL(kmemblk_start(handle));
	CHECK(is_mapped(), "the device is not mapped, or is_mapped() does not see it");
	child = fork();
	if (child == 0)
		_exit(is_mapped() ? 1 : 0);
	CHECK(wait_for(child) == 0, "a process forked after the start has the mapping");
	CHECK(read(closed, &byte, 1) == 1, "the parent failed");
	for (uint32_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) == 0,
		      "pthread_create");
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(write(ended, "", 1) == 1, "pipe: %m");
	CHECK(read(closed, &byte, 1) == 1, "the parent failed");
	_exit(0);
}

int main(void)
{
	int closed[2], ended[2];
	pid_t child;
	char byte;

	path = test_make_device(6000 * BLOCK_SIZE, 16);
	CHECK(pipe(closed) == 0 && pipe(ended) == 0, "pipe: %m");
	CHECK_CALL(kmemblk_open(path, 0, &handle));
	child = fork();
	if (child == 0) {
		close(closed[1]);
		be_the_daemon(closed[0], ended[1]);
	}
	close(ended[1]);
	kmemblk_close(handle);
	CHECK(write(closed[1], "", 1) == 1, "pipe: %m");
	CHECK(read(ended[0], &byte, 1) == 1, "the child failed");
	CHECK(kmemblk_open(path, 0, &handle) == -EBUSY, "the child has lost its claim");
	CHECK(write(closed[1], "", 1) == 1, "pipe: %m");
	CHECK(wait_for(child) == 0, "the child failed");
	handle = test_open(path);
	for (uint32_t i = 0; i < THREADS * BLOCKS; i++)
		if (i % BLOCKS != 0)
			check_block(handle, i, 3);
	test_close_and_check(handle, path, THREADS * (BLOCKS - 1));
	free(path);
	return 0;
}
