/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tmpfs-too-small.c - a sparse disk on a tmpfs that can give no more: the request that needs a page gets
 * ENOSPC, be it for a block or for a table; what has its pages is read, overwritten and written in
 * part as ever; what has none is read as zeroes, which takes nothing; and when there is room again,
 * it is used.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/block.h"
#include "common/server.h"
#include "own-shm.h"

#define ROOM	(24u << 20)
#define SIZE	(64u << 20)
#define WRITTEN 1000u /* blocks before it is full */

static struct nbd_handle *nbd;

/* New blocks from WRITTEN on, until there is no page for one: its number. */
static uint64_t write_until_full(void)
{
	uint64_t number = WRITTEN;

	while (server_write_block(nbd, number, 1) == 0)
		CHECK(++number < SIZE / BLOCK_SIZE / 2, "never full");
	CHECK(nbd_get_errno() == ENOSPC, "not ENOSPC: %s", nbd_get_error());
	return number;
}

/* Nothing that would need a page gets one, and each request is told so. */
static void ask_in_vain(uint64_t first)
{
	const uint64_t far = SIZE / BLOCK_SIZE - 600; /* its leaf has no page either */

	for (uint64_t i = 0; i < 10; i++) {
		NBD_CHECK_FAILS(ENOSPC, server_write_block(nbd, first + i, 1));
		NBD_CHECK_FAILS(ENOSPC, server_write_block(nbd, far + i, 1));
		NBD_CHECK_FAILS(ENOSPC, nbd_pwrite(nbd, "abc", 3, far * BLOCK_SIZE + 5, 0));
		NBD_CHECK_FAILS(ENOSPC, nbd_zero(nbd, BLOCK_SIZE, far * BLOCK_SIZE,
						 LIBNBD_CMD_FLAG_NO_HOLE));
		server_expect_block(nbd, first + i, 0);
		server_expect_block(nbd, far + i, 0);
		server_check_alive();
	}
	CHECK(own_shm_left() == 0, "reading has given something back");
}

static void overwrite(uint64_t version)
{
	for (uint64_t number = 0; number < WRITTEN; number++) {
		NBD_CHECK(nbd_pwrite(nbd, "abc", 3, number * BLOCK_SIZE + 5, 0));
		NBD_CHECK(server_write_block(nbd, number, version));
	}
	for (uint64_t number = 0; number < WRITTEN; number++)
		server_expect_block(nbd, number, version);
}

int main(void)
{
	uint64_t full;

	if (!own_shm(ROOM))
		return 77;
	server_start(SIZE, NULL);
	nbd = server_connect();
	for (uint64_t number = 0; number < WRITTEN; number++)
		NBD_CHECK(server_write_block(nbd, number, 1));
	CHECK(own_shm_fill(), "fill: %m");
	full = write_until_full();
	ask_in_vain(full);
	for (uint64_t version = 2; version < 5; version++)
		overwrite(version);
	CHECK(own_shm_left() == 0, "overwriting has given something back");
	ask_in_vain(full);
	CHECK(own_shm_give_back(200), "give back: %m");
	for (uint64_t number = full; number < full + 50; number++)
		NBD_CHECK(server_write_block(nbd, number, 1));
	server_disconnect(nbd);
	server_check_alive();
	server_stop_sound();

	/* As full as before. */
	CHECK(own_shm_fill(), "fill: %m");
	server_start(0, NULL);
	nbd = server_connect();
	for (uint64_t number = WRITTEN; number < full + 50; number++)
		server_expect_block(nbd, number, 1);
	overwrite(5);
	server_disconnect(nbd);
	server_stop_sound();
	return 0;
}
