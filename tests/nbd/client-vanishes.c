/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client-vanishes.c - a client that goes in the middle of its requests harms only itself.
 *
 * Some clients go with half a write sent, which must change nothing; some with many requests on
 * their way, each of which may be done or not, but whole.  The server lives, others are served.
 *
 * A connection has one thread, as is the default on memory: nbdkit before 1.34 aborts, whatever the plugin, when a
 * thread meets a socket that another thread of the connection has given up.
 */
#include "config.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>
#include <unistd.h>

#include "common/block.h"
#include "common/scale.h"
#include "common/server.h"
#include "common/wire.h"

#define BLOCKS 64
#define ROUNDS 100

static char block[BLOCKS][BLOCK_SIZE]; /* each on its way at once */

static void vanish_with_half_a_write(void)
{
	struct nbd_handle *nbd = server_connect();
	struct wire_request request = {
		.magic = htonl(WIRE_REQUEST_MAGIC),
		.type = htons(WIRE_WRITE),
		.offset = htobe64(BLOCKS * BLOCK_SIZE),
		.length = htonl(2 * BLOCK_SIZE),
	};
	int fd = nbd_aio_get_fd(nbd);

	/* Past libnbd, which sends whole requests only. */
	CHECK(write(fd, &request, sizeof request) == sizeof request, "write: %m");
	CHECK(write(fd, block, BLOCK_SIZE + 100) == BLOCK_SIZE + 100, "write: %m");
	nbd_close(nbd);
}

static void vanish_with_requests_on_their_way(unsigned int version)
{
	struct nbd_handle *nbd = server_connect();

	for (unsigned int i = 0; i < BLOCKS; i++) {
		block_fill(block[i], i, version);
		NBD_CHECK(nbd_aio_pwrite(nbd, block[i], BLOCK_SIZE, (uint64_t)i * BLOCK_SIZE,
					 NBD_NULL_COMPLETION, 0));
		if (i == version % BLOCKS)
			NBD_CHECK(nbd_poll(nbd, 0));
	}
	nbd_close(nbd);
}

static void verify(struct nbd_handle *nbd, unsigned int newest)
{
	char buf[BLOCK_SIZE], zeroes[BLOCK_SIZE] = { 0 };
	uint64_t version;

	for (unsigned int i = 0; i < BLOCKS; i++) {
		NBD_CHECK(nbd_pread(nbd, buf, sizeof buf, (uint64_t)i * BLOCK_SIZE, 0));
		CHECK(block_version(buf, i, &version) && version <= newest,
		      "block %u is torn or foreign", i);
	}
	NBD_CHECK(nbd_pread(nbd, buf, sizeof buf, BLOCKS * BLOCK_SIZE, 0));
	CHECK(memcmp(buf, zeroes, sizeof buf) == 0, "half a request was done");
}

int main(void)
{
	struct nbd_handle *nbd;

	server_start(8 << 20, NULL);
	nbd = server_connect();
	for (unsigned int round = 1; round <= scale(ROUNDS); round++) {
		vanish_with_half_a_write();
		vanish_with_requests_on_their_way(round);
		verify(nbd, round);
	}
	server_disconnect(nbd);
	server_check_alive();
	server_stop_sound();
	return 0;
}
