/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block-status.c - which parts of the disk have pages, also in requests of 4 GiB - 1 byte on a
 * sparse disk over 8 GiB.
 */
#include "config.h"

#include "common/block.h"
#include "common/server.h"
#include "extents.h"

#define DEVICE_SIZE (UINT64_C(9) << 30)
#define LARGEST	    UINT64_C(0xffffffff)
#define GIB	    (UINT64_C(1) << 30)

static struct nbd_handle *nbd;
static struct extents got;

static void expect_extent(unsigned int i, uint64_t length, uint32_t type)
{
	CHECK(i < got.count && i < EXTENTS_KEPT, "extent %u of %u", i, got.count);
	CHECK(got.extent[i].length == length && got.extent[i].type == type,
	      "extent %u of %u: %lu bytes of type %u, not %lu of %u", i, got.count,
	      got.extent[i].length, got.extent[i].type, length, type);
}

static void an_empty_disk_is_one_hole(void)
{
	extents_ask(nbd, LARGEST, 0, 0, &got);
	expect_extent(0, LARGEST, HOLE);
	extents_ask(nbd, LARGEST, 4 * GIB + 12345, 0, &got);
	expect_extent(0, LARGEST, HOLE);
}

static void written_blocks_are_data(void)
{
	NBD_CHECK(server_write_block(nbd, 3, 1));
	NBD_CHECK(server_write_block(nbd, 4, 1));
	NBD_CHECK(server_write_block(nbd, 3 * GIB / BLOCK_SIZE, 1));
	extents_ask(nbd, LARGEST, 0, 0, &got);
	expect_extent(0, 3 * BLOCK_SIZE, HOLE);
	expect_extent(1, 2 * BLOCK_SIZE, DATA);
	expect_extent(2, 3 * GIB - 5 * BLOCK_SIZE, HOLE);
	expect_extent(3, BLOCK_SIZE, DATA);
	expect_extent(4, LARGEST - 3 * GIB - BLOCK_SIZE, HOLE);
	CHECK(got.count == 5, "%u extents", got.count);
}

static void a_request_may_begin_and_end_inside_a_block(void)
{
	extents_ask(nbd, BLOCK_SIZE, 3 * BLOCK_SIZE - 1, 0, &got);
	expect_extent(0, 1, HOLE);
	expect_extent(1, BLOCK_SIZE - 1, DATA);
	extents_ask(nbd, 1, 4 * BLOCK_SIZE + 77, 0, &got);
	expect_extent(0, 1, DATA);
}

static void req_one_gives_one(void)
{
	extents_ask(nbd, LARGEST, 3 * BLOCK_SIZE, LIBNBD_CMD_FLAG_REQ_ONE, &got);
	expect_extent(0, 2 * BLOCK_SIZE, DATA);
	CHECK(got.count == 1, "%u extents", got.count);
	extents_ask(nbd, LARGEST, 4 * GIB, LIBNBD_CMD_FLAG_REQ_ONE, &got);
	expect_extent(0, LARGEST, HOLE);
}

static void a_full_leaf_of_alternate_blocks_is_told_whole(void)
{
	const unsigned int pairs = 2000;
	uint64_t first = 9 * GIB / 2 / BLOCK_SIZE;

	for (unsigned int i = 0; i < pairs; i++)
		NBD_CHECK(server_write_block(nbd, first + 2 * i, 1));
	extents_ask(nbd, 2 * pairs * BLOCK_SIZE, first * BLOCK_SIZE, 0, &got);
	CHECK(got.count == 2 * pairs, "%u extents", got.count);
	expect_extent(0, BLOCK_SIZE, DATA);
	expect_extent(63, BLOCK_SIZE, HOLE);
}

static void the_end_of_the_disk_ends_the_answer(void)
{
	uint64_t size = nbd_get_size(nbd);

	CHECK(size > 8 * GIB, "a disk of %lu bytes", size);
	NBD_CHECK(server_write_block(nbd, size / BLOCK_SIZE - 1, 1));
	extents_ask(nbd, LARGEST, size - LARGEST, 0, &got);
	expect_extent(got.count - 1, BLOCK_SIZE, DATA);
	CHECK(got.total == LARGEST, "%lu", got.total);
}

int main(void)
{
	server_start(DEVICE_SIZE, NULL);
	nbd = server_connect();
	an_empty_disk_is_one_hole();
	written_blocks_are_data();
	a_request_may_begin_and_end_inside_a_block();
	req_one_gives_one();
	a_full_leaf_of_alternate_blocks_is_told_whole();
	the_end_of_the_disk_ends_the_answer();
	server_disconnect(nbd);
	server_check_alive();
	server_stop_sound();
	return 0;
}
