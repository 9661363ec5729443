/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * data-punched.c - somebody punches pages of a device that is being served, and its tmpfs is full, so
 * that they cannot be had again: for a page that holds a block its requests get EIO until the block
 * is written as a whole; free pages cannot be written to until there is room; all else goes on.
 */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/block.h"
#include "common/map-file.h"
#include "common/scale.h"
#include "common/server.h"
#include "own-shm.h"
#include "versions.h"

#define ROOM   (24u << 20)
#define SIZE   (16u << 20)
#define PAGES  (SIZE / BLOCK_SIZE)
#define BLOCKS 2000u /* of the disk that are written */

static uint64_t page_of(uint64_t number)
{
	return map_file_page(server_device(), number);
}

/* All blocks but `count` from `lost` on. */
static void expect_others(uint64_t lost, uint64_t count)
{
	for (uint64_t number = 0; number < BLOCKS; number++)
		if (number - lost >= count)
			expect_block(number);
}

static void punch_block(uint64_t number)
{
	CHECK(own_shm_punch(server_device(), page_of(number)), "punch: %m");
}

/* All pages that hold nothing. */
static void punch_free_pages(void)
{
	static bool named[PAGES];

	named[map_file_record(server_device())] = true;
	for (uint64_t number = 0; number < BLOCKS; number++) {
		named[page_of(number)] = true;
		named[map_file_leaf(server_device(), number)] = true;
	}
	/* Not the table above the leaves, which is beside them: it was made with the first. */
	for (uint64_t page = map_file_leaf(server_device(), 0) + 1; page < PAGES - 1; page++)
		if (!named[page])
			CHECK(own_shm_punch(server_device(), page), "punch: %m");
}

/* Blocks [first, first + count) are lost until they are written. */
static void lose_blocks(uint64_t first, uint64_t count)
{
	static char buf[8 * BLOCK_SIZE];

	for (uint64_t number = first; number < first + count; number++)
		punch_block(number);
	for (uint64_t number = first; number < first + count; number++)
		for (int i = 0; i < 2; i++) {
			NBD_CHECK_FAILS(EIO,
					nbd_pread(nbd, buf, BLOCK_SIZE, number * BLOCK_SIZE, 0));
			NBD_CHECK_FAILS(EIO, nbd_pwrite(nbd, "abc", 3, number * BLOCK_SIZE, 0));
		}
	NBD_CHECK_FAILS(EIO, nbd_pread(nbd, buf, sizeof buf, (first - 3) * BLOCK_SIZE, 0));
	server_check_alive();
	expect_others(first, count);
	for (uint64_t number = first; number < first + count; number++) {
		NBD_CHECK(write_block(number));
		expect_block(number);
	}
	expect_others(0, 0);
}

/* Free pages without storage fail writes while there is no room, and are as good as ever after it. */
static void lose_free_pages(void)
{
	punch_free_pages();
	/* More often than there are free pages: none is taken out of use. */
	for (unsigned int i = 0; i < PAGES; i++)
		NBD_CHECK_FAILS(ENOSPC, write_block(3));
	server_check_alive();
	expect_others(0, 0);
	CHECK(own_shm_give_back(600), "give back: %m");
	for (uint64_t number = 0; number < BLOCKS; number++)
		NBD_CHECK(write_block(number));
	expect_others(0, 0);
}

int main(void)
{
	/* Under valgrind a media error can be met only once. */
	if (under_valgrind() || !own_shm(ROOM))
		return 77;
	start_with_blocks(SIZE, BLOCKS);
	lose_blocks(7, 1);
	lose_blocks(1000, 2);
	lose_free_pages();
	server_disconnect(nbd);
	server_stop_sound();
	return 0;
}
