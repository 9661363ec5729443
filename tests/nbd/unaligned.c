/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unaligned.c - requests of any length at any byte, against a copy of the disk in memory.
 *
 * Writes and zeroes change exactly the bytes they name.  A trim turns whole blocks inside it into
 * zeroes and leaves the bytes of blocks that it touches in part.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/block.h"
#include "common/random.h"
#include "common/scale.h"
#include "common/server.h"

#define DISK	   (1 << 20) /* how much of the disk the test uses */
#define MOST	   (5 * BLOCK_SIZE)
#define OPERATIONS 40000

static unsigned char model[DISK], buf[DISK];
static uint64_t state = 1;

static void trim_model(uint64_t offset, uint64_t count)
{
	uint64_t begin = (offset + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
	uint64_t end = (offset + count) / BLOCK_SIZE * BLOCK_SIZE;

	if (begin < end)
		memset(model + begin, 0, end - begin);
}

static void operate(struct nbd_handle *nbd)
{
	uint64_t offset = random_next(&state) % (DISK - MOST);
	uint64_t count = 1 + random_next(&state) % (random_next(&state) % 2 ? MOST : 8);

	switch (random_next(&state) % 8) {
	case 0:
		NBD_CHECK(nbd_trim(nbd, count, offset, 0));
		trim_model(offset, count);
		break;
	case 1:
		NBD_CHECK(nbd_zero(nbd, count, offset, 0));
		memset(model + offset, 0, count);
		break;
	case 2:
		NBD_CHECK(nbd_zero(nbd, count, offset, LIBNBD_CMD_FLAG_NO_HOLE));
		memset(model + offset, 0, count);
		break;
	case 3:
	case 4:
		for (uint64_t i = 0; i < count; i++)
			buf[i] = random_next(&state);
		NBD_CHECK(nbd_pwrite(nbd, buf, count, offset, LIBNBD_CMD_FLAG_FUA));
		memcpy(model + offset, buf, count);
		break;
	default:
		NBD_CHECK(nbd_pread(nbd, buf, count, offset, 0));
		CHECK(memcmp(buf, model + offset, count) == 0, "%lu bytes at %lu", count, offset);
	}
}

int main(void)
{
	struct nbd_handle *nbd;

	server_start(4 << 20, NULL);
	nbd = server_connect();
	for (unsigned int i = 0; i < scale(OPERATIONS); i++)
		operate(nbd);
	NBD_CHECK(nbd_pread(nbd, buf, DISK, 0, 0));
	CHECK(memcmp(buf, model, DISK) == 0, "the disk is not what was written");

	/* These have nothing left to do, and do not fail. */
	NBD_CHECK(nbd_flush(nbd, 0));
	NBD_CHECK(nbd_cache(nbd, DISK, 1, 0));

	/* Its very last byte. */
	NBD_CHECK(nbd_pwrite(nbd, "x", 1, nbd_get_size(nbd) - 1, 0));
	NBD_CHECK(nbd_pread(nbd, buf, 1, nbd_get_size(nbd) - 1, 0));
	CHECK(buf[0] == 'x', "%#x", buf[0]);
	server_disconnect(nbd);
	server_stop_sound();
	return 0;
}
