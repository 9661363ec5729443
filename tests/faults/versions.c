/* SPDX-License-Identifier: BSD-3-Clause */
/* versions.c - see versions.h. */
#include "config.h"

#include "versions.h"

struct nbd_handle *nbd;
static uint64_t newest[VERSIONS_MOST]; /* version */

int write_block(uint64_t number)
{
	if (server_write_block(nbd, number, newest[number] + 1) == -1)
		return -1;
	newest[number]++;
	return 0;
}

void expect_block(uint64_t number)
{
	server_expect_block(nbd, number, newest[number]);
}

void start_with_blocks(uint64_t size, uint64_t blocks)
{
	server_start(size, NULL);
	nbd = server_connect();
	for (uint64_t number = 0; number < blocks; number++)
		NBD_CHECK(write_block(number));
}
