/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * waiting-connection.c - who waits for memory that is lent holds up nobody on another connection.
 *
 * A borrower has all that may be lent and does not answer, and the disk is filled through one connection until a
 * new block has to wait.  Then another connection overwrites, reads and trims.  What it trims is a page for one
 * more new block: so that one came shows that the first connection waited while the second was served.
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "common/await.h"
#include "disk.h"
#include "raw.h"

#define DEVICE_SIZE (48 << 20)
#define ROUNDS	    64

static struct borrower borrower;
static _Atomic uint64_t filled; /* the next block of those that are filled one by one */

static void *fill(void *opaque)
{
	struct nbd_handle *nbd = opaque;

	while (filled < disk.blocks) {
		CHECK(disk_write(nbd, filled) == 0, "%s", nbd_get_error());
		filled++;
	}
	return NULL;
}

/* Pages that new blocks can have without waiting. */
static int64_t left(void)
{
	const char *path = server_lend_socket();

	return (int64_t)(raw_stat(path, "pages", "free") - raw_stat(path, "pages", "spare") -
			 raw_stat(path, "pages", "for_tables") - raw_stat(path, "pages", "lent"));
}

static void use(struct nbd_handle *nbd, uint64_t block)
{
	char buf[BLOCK_SIZE];
	uint64_t version;

	CHECK(disk_write(nbd, block) == 0, "%s", nbd_get_error());
	NBD_CHECK(nbd_pread(nbd, buf, sizeof buf, block * BLOCK_SIZE, 0));
	CHECK(block_version(buf, block, &version) && version == disk.version[block],
	      "block %" PRIu64 " is not as it was written", block);
}

int main(void)
{
	static const char *const parameters[] = { "recall-timeout=86400", NULL };
	struct nbd_handle *first, *second;
	pthread_t thread;

	server_lends(parameters);
	server_start(DEVICE_SIZE, NULL);
	first = server_connect();
	second = server_connect();
	disk_init(first);
	for (uint64_t block = 0; block < ROUNDS; block++)
		CHECK(disk_write(second, block) == 0, "%s", nbd_get_error());
	filled = ROUNDS;
	raw_hello(&borrower, server_lend_socket());
	/* The first may have to be made whole. */
	CHECK(raw_borrow(&borrower, RAW_WAIT_MS) == 0, "no zone");
	raw_borrow_all(&borrower, 0);
	CHECK(pthread_create(&thread, NULL, fill, first) == 0, "pthread_create");
	AWAIT(left() <= 0);
	for (uint64_t block = 0; block < ROUNDS; block++) {
		uint64_t before = filled;

		use(second, block);
		disk_trim(second, block, 1);
		AWAIT(filled > before);
	}
	while (borrower.zones > 0)
		raw_return(&borrower);
	pthread_join(thread, NULL);
	disk_verify(second);
	server_disconnect(first);
	server_disconnect(second);
	server_stop(SIGTERM);
	server_check_device();
	return 0;
}
