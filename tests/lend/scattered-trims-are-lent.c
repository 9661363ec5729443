/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scattered-trims-are-lent.c - whole zones are made of pages that lie scattered, and no block changes.
 *
 * The disk is written full and three quarters of its blocks are trimmed, one by one at random, so
 * that no zone is whole.  Then at least 90 % of the free pages above headroom and spare can be
 * borrowed, while the other blocks are overwritten and read.  What is borrowed is zeroed
 * (raw_borrow() looks), no block changes while it is written to, and it all comes back.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>

#include "common/random.h"
#include "disk.h"
#include "raw.h"

#define DEVICE_SIZE (128 << 20)
#define ZONE_PAGES  512u

static void trim_most(struct nbd_handle *nbd)
{
	uint64_t random = 1;

	for (uint64_t block = 0; block < disk.blocks; block++)
		if (random_next(&random) % 4 != 0)
			disk_trim(nbd, block, 1);
}

static uint64_t pages(const char *key)
{
	return raw_stat(server_lend_socket(), "pages", key);
}

int main(void)
{
	static const char *const parameters[] = { NULL };
	static struct borrower borrower;
	struct nbd_handle *nbd;
	struct load load;
	uint64_t lendable;

	server_lends(parameters);
	server_start(DEVICE_SIZE, NULL);
	nbd = server_connect();
	disk_init(nbd);
	disk_write_all(nbd);
	raw_hello(&borrower, server_lend_socket());
	CHECK(raw_borrow(&borrower, 0) == -ENOMEM, "a page of a block was lent");
	trim_most(nbd);
	raw_await(server_lend_socket(), "pages", "retired", 0);
	lendable = pages("free") - pages("spare") - pages("headroom");

	load_start(&load, 0, disk.blocks);
	load_await(&load, 100);
	while (borrower.zones * ZONE_PAGES < lendable * 9 / 10) {
		int rc = raw_borrow(&borrower, 5000);

		CHECK(rc == 0 || rc == -ENOMEM, "not the right refusal: %d", rc);
	}
	CHECK(pages("moved") > 0, "without moving a block?");
	raw_scribble(&borrower, 1);
	load_await(&load, 100);
	raw_check(&borrower, 1);
	load_end(&load);
	disk_verify(nbd);

	printf("%u of %" PRIu64 " pages lent\n", borrower.zones * ZONE_PAGES, lendable);
	while (borrower.zones > 0)
		raw_return(&borrower);
	raw_await(server_lend_socket(), "zones", "lent", 0);
	CHECK(disk_fill(nbd) == 0, "pages have not come back");
	disk_verify(nbd);
	server_disconnect(nbd);
	server_stop_sound();
	return 0;
}
