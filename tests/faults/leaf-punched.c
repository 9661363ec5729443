/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leaf-punched.c - the media fails in the map of a device that is being served: a leaf is punched, and its tmpfs is full, so that touching it is SIGBUS.  Requests to the blocks whose
 * entries were there get EIO, again and again, also with two such pages; other blocks are served.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "common/block.h"
#include "common/map-file.h"
#include "common/scale.h"
#include "common/server.h"
#include "own-shm.h"
#include "versions.h"

#define ROOM	    (24u << 20)
#define SIZE	    (16u << 20)
#define LEAF_BLOCKS 512u
#define LEAVES	    4u
#define BLOCKS	    (LEAVES * LEAF_BLOCKS)

static bool lost[LEAVES];
static uint64_t leaf_page[LEAVES];

static int no_extent(void *opaque, const char *context, uint64_t offset, uint32_t *list,
		     size_t count, int *error)
{
	(void)opaque, (void)context, (void)offset, (void)list, (void)count, (void)error;
	return 0;
}

/* Everything that needs an entry of the block. */
static void expect_lost(uint64_t number)
{
	nbd_extent_callback extent = { .callback = no_extent };
	const uint64_t at = number * BLOCK_SIZE;
	char buf[BLOCK_SIZE];

	NBD_CHECK_FAILS(EIO, nbd_pread(nbd, buf, BLOCK_SIZE, at, 0));
	NBD_CHECK_FAILS(EIO, nbd_pread(nbd, buf, 1, at + 100, 0));
	NBD_CHECK_FAILS(EIO, write_block(number));
	NBD_CHECK_FAILS(EIO, nbd_pwrite(nbd, "abc", 3, at + 100, 0));
	NBD_CHECK_FAILS(EIO, nbd_zero(nbd, BLOCK_SIZE, at, LIBNBD_CMD_FLAG_NO_HOLE));
	NBD_CHECK_FAILS(EIO, nbd_block_status(nbd, BLOCK_SIZE, at, extent, 0));
}

/* A range of which the half before `number` is lost, or the half from there on. */
static void expect_half_lost(uint64_t number)
{
	static char buf[8 * BLOCK_SIZE];

	NBD_CHECK_FAILS(EIO, nbd_pread(nbd, buf, sizeof buf, (number - 4) * BLOCK_SIZE, 0));
}

static void lose_leaf(unsigned int leaf)
{
	CHECK(own_shm_punch(server_device(), leaf_page[leaf]), "punch: %m");
	lost[leaf] = true;
	for (int round = 0; round < 2; round++) {
		for (uint64_t number = 0; number < BLOCKS; number++) {
			if (!lost[number / LEAF_BLOCKS]) {
				expect_block(number);
				NBD_CHECK(write_block(number));
			} else if (number % 61 == 0) {
				expect_lost(number);
			}
		}
		expect_half_lost((uint64_t)leaf * LEAF_BLOCKS);
		NBD_CHECK(nbd_flush(nbd, 0));
		server_check_alive();
	}
}

int main(void)
{
	/* Under valgrind a media error can be met only once. */
	if (under_valgrind() || !own_shm(ROOM))
		return 77;
	start_with_blocks(SIZE, BLOCKS);
	for (unsigned int leaf = 0; leaf < LEAVES; leaf++)
		leaf_page[leaf] = map_file_leaf(server_device(), leaf * LEAF_BLOCKS);
	lose_leaf(2);
	lose_leaf(1);
	server_disconnect(nbd);
	/* A new client gets the same. */
	nbd = server_connect();
	expect_lost(600);
	expect_block(0);
	expect_block(BLOCKS - 1);
	/*
	 * Whether an entry that was to be cleared is, and durably, cannot be known: nothing more is
	 * written, and what can be read is.
	 */
	NBD_CHECK_FAILS(EIO, nbd_trim(nbd, BLOCK_SIZE, 600 * BLOCK_SIZE, 0));
	NBD_CHECK_FAILS(EPERM, write_block(0));
	expect_block(0);
	expect_block(BLOCKS - 1);
	server_disconnect(nbd);
	server_check_alive();
	server_stop(SIGTERM);
	return 0;
}
