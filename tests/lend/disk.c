/* SPDX-License-Identifier: BSD-3-Clause */
/* disk.c - see disk.h. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "common/await.h"
#include "common/random.h"
#include "disk.h"

/* Blocks a request, where many are meant. */
#define MANY 256u
/* Refusals after which the disk is full. */
#define ENOUGH 8u

struct disk disk;

void disk_init(struct nbd_handle *nbd)
{
	int64_t size = nbd_get_size(nbd);

	CHECK(size > 0 && size / BLOCK_SIZE <= MOST_BLOCKS, "a disk of %" PRIi64 " bytes", size);
	disk.blocks = (uint64_t)size / BLOCK_SIZE;
	disk.next += disk.next == 0;
}

static uint64_t new_version(void)
{
	return __atomic_fetch_add(&disk.next, 1, __ATOMIC_RELAXED);
}

int disk_write(struct nbd_handle *nbd, uint64_t block)
{
	uint64_t version = new_version();

	if (server_write_block(nbd, block, version) == -1)
		return nbd_get_errno();
	disk.version[block] = version;
	return 0;
}

void disk_write_all(struct nbd_handle *nbd)
{
	static char buf[MANY * BLOCK_SIZE];

	for (uint64_t first = 0; first < disk.blocks; first += MANY) {
		uint64_t n = disk.blocks - first < MANY ? disk.blocks - first : MANY;

		for (uint64_t i = 0; i < n; i++) {
			disk.version[first + i] = new_version();
			block_fill(buf + i * BLOCK_SIZE, first + i, disk.version[first + i]);
		}
		NBD_CHECK(nbd_pwrite(nbd, buf, n * BLOCK_SIZE, first * BLOCK_SIZE, 0));
	}
}

uint64_t disk_fill(struct nbd_handle *nbd)
{
	uint64_t refused = 0;

	for (uint64_t block = 0; block < disk.blocks && refused < ENOUGH; block++) {
		int err = disk.version[block] == 0 ? disk_write(nbd, block) : 0;

		CHECK(err == 0 || err == ENOSPC, "block %" PRIu64 ": %s", block, nbd_get_error());
		refused += err != 0;
	}
	return refused;
}

void disk_overwrite(struct nbd_handle *nbd)
{
	for (uint64_t block = 0; block < disk.blocks; block++)
		CHECK(disk.version[block] == 0 || disk_write(nbd, block) == 0,
		      "block %" PRIu64 " has a page: %s", block, nbd_get_error());
}

void disk_trim(struct nbd_handle *nbd, uint64_t block, uint64_t count)
{
	NBD_CHECK(nbd_trim(nbd, count * BLOCK_SIZE, block * BLOCK_SIZE, 0));
	for (uint64_t i = 0; i < count; i++)
		disk.version[block + i] = 0;
}

static void verify_block(const char *buf, uint64_t block)
{
	uint64_t version;

	CHECK(block_version(buf, block, &version), "block %" PRIu64 " is torn or foreign", block);
	CHECK(version == disk.version[block],
	      "block %" PRIu64 ": version %" PRIu64 " instead of %" PRIu64, block, version,
	      disk.version[block]);
}

void disk_verify(struct nbd_handle *nbd)
{
	static char buf[MANY * BLOCK_SIZE];

	for (uint64_t first = 0; first < disk.blocks; first += MANY) {
		uint64_t n = disk.blocks - first < MANY ? disk.blocks - first : MANY;

		NBD_CHECK(nbd_pread(nbd, buf, n * BLOCK_SIZE, first * BLOCK_SIZE, 0));
		for (uint64_t i = 0; i < n; i++)
			verify_block(buf + i * BLOCK_SIZE, first + i);
	}
}

static void *run_load(void *opaque)
{
	struct load *load = opaque;
	char buf[BLOCK_SIZE];

	while (!load->stop) {
		uint64_t block = load->first + random_next(&load->random) % load->count;

		if (disk.version[block] == 0)
			continue;
		if (random_next(&load->random) % 2) {
			CHECK(disk_write(load->nbd, block) == 0, "block %" PRIu64 ": %s", block,
			      nbd_get_error());
		} else {
			NBD_CHECK(nbd_pread(load->nbd, buf, sizeof buf, block * BLOCK_SIZE, 0));
			verify_block(buf, block);
		}
		load->done++;
	}
	return NULL;
}

void load_start(struct load *load, uint64_t first, uint64_t count)
{
	*load = (struct load){ .first = first, .count = count, .random = first + 1 };
	load->nbd = server_connect();
	CHECK(pthread_create(&load->thread, NULL, run_load, load) == 0, "pthread_create");
}

void load_await(struct load *load, uint64_t more)
{
	more += load->done;
	AWAIT(load->done >= more);
}

void load_end(struct load *load)
{
	load->stop = true;
	pthread_join(load->thread, NULL);
	server_disconnect(load->nbd);
}
