/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load.c - a client that checks every block, for the scripts of this folder.
 *
 *   load URI fill FIRST COUNT VERSION    write the blocks; stop at the first ENOSPC; print how many
 *                                        were written
 *   load URI verify FIRST COUNT VERSION  each block must hold that version; 0: zeroes
 *   load URI trim FIRST COUNT 0          trim the blocks
 *   load URI churn FIRST COUNT ROUNDS    ROUNDS random writes, trims and verified reads of blocks
 *                                        which nobody else uses; none may fail; at the end all
 *                                        blocks are verified, and trimmed
 *
 * Any error but that one ends it with status 1.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/block.h"
#include "common/random.h"
#include "common/server.h"

#define MOST 64u /* blocks a request */

static struct nbd_handle *nbd;
static char buf[MOST * BLOCK_SIZE];

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool write_blocks(uint64_t first, uint64_t n, uint64_t version)
{
	for (uint64_t i = 0; i < n; i++)
		block_fill(buf + i * BLOCK_SIZE, first + i, version);
	if (nbd_pwrite(nbd, buf, n * BLOCK_SIZE, first * BLOCK_SIZE, 0) == 0)
		return true;
	CHECK(nbd_get_errno() == ENOSPC, "block %lu: %s", first, nbd_get_error());
	return false;
}

static void verify(uint64_t first, uint64_t n, const uint64_t *version)
{
	uint64_t found;

	NBD_CHECK(nbd_pread(nbd, buf, n * BLOCK_SIZE, first * BLOCK_SIZE, 0));
	for (uint64_t i = 0; i < n; i++)
		CHECK(block_version(buf + i * BLOCK_SIZE, first + i, &found) && found == version[i],
		      "block %lu: version %lu instead of %lu, or torn", first + i, found,
		      version[i]);
}

static void fill(uint64_t first, uint64_t count, uint64_t version)
{
	uint64_t done = 0;

	while (done < count && write_blocks(first + done, least(MOST, count - done), version))
		done += least(MOST, count - done);
	/* The request that failed may have been done in part: one by one. */
	while (done < count && write_blocks(first + done, 1, version))
		done++;
	printf("%lu\n", done);
}

static void verify_all(uint64_t first, uint64_t count, uint64_t version)
{
	uint64_t versions[MOST], n;

	for (uint64_t i = 0; i < MOST; i++)
		versions[i] = version;
	for (uint64_t done = 0; done < count; done += n) {
		n = least(MOST, count - done);
		verify(first + done, n, versions);
	}
}

static void trim(uint64_t first, uint64_t count)
{
	NBD_CHECK(nbd_trim(nbd, count * BLOCK_SIZE, first * BLOCK_SIZE, 0));
}

static void churn(uint64_t first, uint64_t count, uint64_t rounds)
{
	uint64_t *version = calloc(count, sizeof(version[0])), random = first + 1, n;

	CHECK(version != NULL, "out of memory");
	for (uint64_t round = 1; round <= rounds; round++) {
		uint64_t at, kind = random_next(&random) % 5;

		n = 1 + random_next(&random) % MOST;
		at = random_next(&random) % (count - n);
		if (kind < 2)
			CHECK(write_blocks(first + at, n, round), "no write may fail: ENOSPC");
		else if (kind == 2)
			trim(first + at, n);
		else
			verify(first + at, n, version + at);
		for (uint64_t i = 0; i < n && kind <= 2; i++)
			version[at + i] = kind < 2 ? round : 0;
	}
	for (uint64_t done = 0; done < count; done += n) {
		n = least(MOST, count - done);
		verify(first + done, n, version + done);
	}
	trim(first, count);
	free(version);
}

int main(int argc, char **argv)
{
	uint64_t first, count, number;

	CHECK(argc == 6, "usage: load URI ACTION FIRST COUNT NUMBER");
	first = strtoull(argv[3], NULL, 0);
	count = strtoull(argv[4], NULL, 0);
	number = strtoull(argv[5], NULL, 0);
	nbd = nbd_create();
	CHECK(nbd != NULL && nbd_connect_uri(nbd, argv[1]) == 0, "%s", nbd_get_error());
	if (strcmp(argv[2], "fill") == 0)
		fill(first, count, number);
	else if (strcmp(argv[2], "verify") == 0)
		verify_all(first, count, number);
	else if (strcmp(argv[2], "trim") == 0)
		trim(first, count);
	else if (strcmp(argv[2], "churn") == 0)
		churn(first, count, number);
	else
		CHECK(false, "unknown action %s", argv[2]);
	server_disconnect(nbd);
	return 0;
}
