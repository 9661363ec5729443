/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tmpfs-too-small.c - a thin disk on a tmpfs that can give no more: the request that needs a page gets
 * ENOSPC, be it for a block or for the index; what has its pages is read, overwritten and written in
 * part as ever; what has none is read as zeroes, which takes nothing; and when there is room again,
 * it is used.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "block.h"
#include "own-shm.h"
#include "server.h"

#define ROOM	(24u << 20)
#define SIZE	(64u << 20)
#define WRITTEN 1000u /* blocks before it is full */

static struct nbd_handle *nbd;

static int write_block(uint64_t number, uint64_t version)
{
	char buf[BLOCK_SIZE];

	block_fill(buf, number, version);
	return nbd_pwrite(nbd, buf, sizeof buf, number * BLOCK_SIZE, 0);
}

static void expect_block(uint64_t number, uint64_t version)
{
	char buf[BLOCK_SIZE];
	uint64_t got = 0;

	NBD_CHECK(nbd_pread(nbd, buf, sizeof buf, number * BLOCK_SIZE, 0));
	CHECK(block_version(buf, number, &got) && got == version,
	      "block %lu has version %lu instead of %lu", number, got, version);
}

/* New blocks from WRITTEN on, until there is no page for one: its number. */
static uint64_t write_until_full(void)
{
	uint64_t number = WRITTEN;

	while (write_block(number, 1) == 0)
		CHECK(++number < SIZE / BLOCK_SIZE / 2, "never full");
	CHECK(nbd_get_errno() == ENOSPC, "not ENOSPC: %s", nbd_get_error());
	return number;
}

/* Nothing that would need a page gets one, and each request is told so. */
static void ask_in_vain(uint64_t first)
{
	const uint64_t far = SIZE / BLOCK_SIZE - 600; /* its leaf has no page either */

	for (uint64_t i = 0; i < 10; i++) {
		NBD_CHECK_FAILS(ENOSPC, write_block(first + i, 1));
		NBD_CHECK_FAILS(ENOSPC, write_block(far + i, 1));
		NBD_CHECK_FAILS(ENOSPC, nbd_pwrite(nbd, "abc", 3, far * BLOCK_SIZE + 5, 0));
		NBD_CHECK_FAILS(ENOSPC, nbd_zero(nbd, BLOCK_SIZE, far * BLOCK_SIZE,
						 LIBNBD_CMD_FLAG_NO_HOLE));
		expect_block(first + i, 0);
		expect_block(far + i, 0);
		server_check_alive();
	}
	CHECK(own_shm_left() == 0, "reading has given something back");
}

static void overwrite(uint64_t version)
{
	for (uint64_t number = 0; number < WRITTEN; number++) {
		NBD_CHECK(nbd_pwrite(nbd, "abc", 3, number * BLOCK_SIZE + 5, 0));
		NBD_CHECK(write_block(number, version));
	}
	for (uint64_t number = 0; number < WRITTEN; number++)
		expect_block(number, version);
}

int main(void)
{
	uint64_t full;

	if (!own_shm(ROOM))
		return 77;
	server_start(SIZE, NULL);
	nbd = server_connect();
	for (uint64_t number = 0; number < WRITTEN; number++)
		NBD_CHECK(write_block(number, 1));
	CHECK(own_shm_fill(), "fill: %m");
	full = write_until_full();
	ask_in_vain(full);
	for (uint64_t version = 2; version < 5; version++)
		overwrite(version);
	CHECK(own_shm_left() == 0, "overwriting has given something back");
	ask_in_vain(full);
	CHECK(own_shm_give_back(200), "give back: %m");
	for (uint64_t number = full; number < full + 50; number++)
		NBD_CHECK(write_block(number, 1));
	server_disconnect(nbd);
	server_check_alive();
	server_stop(SIGTERM);
	server_check_device();

	/* As full as before. */
	CHECK(own_shm_fill(), "fill: %m");
	server_start(0, NULL);
	nbd = server_connect();
	for (uint64_t number = WRITTEN; number < full + 50; number++)
		expect_block(number, 1);
	overwrite(5);
	server_disconnect(nbd);
	server_stop(SIGTERM);
	server_check_device();
	return 0;
}
