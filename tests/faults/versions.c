/* SPDX-License-Identifier: BSD-3-Clause */
/* versions.c - see versions.h. */
#include "config.h"

#include "block.h"
#include "versions.h"

struct nbd_handle *nbd;
static uint64_t newest[VERSIONS_MOST]; /* version */

int write_block(uint64_t number)
{
	char buf[BLOCK_SIZE];

	block_fill(buf, number, newest[number] + 1);
	if (nbd_pwrite(nbd, buf, sizeof buf, number * BLOCK_SIZE, 0) == -1)
		return -1;
	newest[number]++;
	return 0;
}

void expect_block(uint64_t number)
{
	char buf[BLOCK_SIZE];
	uint64_t version = 0;

	NBD_CHECK(nbd_pread(nbd, buf, sizeof buf, number * BLOCK_SIZE, 0));
	CHECK(block_version(buf, number, &version) && version == newest[number],
	      "block %lu has version %lu instead of %lu", number, version, newest[number]);
}
