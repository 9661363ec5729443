/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trim-and-zero.c - what has pages after a trim and after each kind of zero, and requests of
 * 4 GiB - 1 byte.
 *
 * The protocol: a zero with NO_HOLE stays provisioned; FAST_ZERO fails at once with ENOTSUP, and
 * changes nothing, where zeroing would be no faster than writing.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/block.h"
#include "common/server.h"
#include "extents.h"

#define DEVICE_SIZE (UINT64_C(9) << 30)
#define LARGEST	    UINT64_C(0xffffffff)
#define MIB	    (UINT64_C(1) << 20)

static struct nbd_handle *nbd;
static char written[MIB], got[MIB], zeroes[MIB];

static void write_mib(uint64_t offset)
{
	memset(written, 0xa5, MIB);
	NBD_CHECK(nbd_pwrite(nbd, written, MIB, offset, 0));
}

static void expect_status(uint64_t offset, uint64_t length, uint32_t type)
{
	struct extents extents;

	extents_ask(nbd, length, offset, 0, &extents);
	CHECK(extents.count == 1 && extents.total == length && extents.extent[0].type == type,
	      "%lu bytes at %lu: %u extents, the first of type %u, not one of %u", length, offset,
	      extents.count, extents.extent[0].type, type);
}

static void expect_contents(uint64_t offset, const char *contents)
{
	NBD_CHECK(nbd_pread(nbd, got, MIB, offset, 0));
	CHECK(memcmp(got, contents, MIB) == 0, "the wrong bytes at %lu", offset);
}

static void trim_gives_pages_back(void)
{
	write_mib(0);
	expect_status(0, MIB, DATA);
	NBD_CHECK(nbd_trim(nbd, MIB, 0, 0));
	expect_contents(0, zeroes);
	expect_status(0, MIB, HOLE);
}

static void zero_gives_pages_back(void)
{
	write_mib(0);
	NBD_CHECK(nbd_zero(nbd, MIB, 0, 0));
	expect_contents(0, zeroes);
	expect_status(0, MIB, HOLE);
}

static void zero_without_hole_stays_provisioned(void)
{
	write_mib(0);
	NBD_CHECK(nbd_zero(nbd, MIB, 0, LIBNBD_CMD_FLAG_NO_HOLE));
	expect_contents(0, zeroes);
	expect_status(0, MIB, DATA);

	/* And makes what was a hole provisioned. */
	NBD_CHECK(nbd_zero(nbd, MIB, 8 * MIB, LIBNBD_CMD_FLAG_NO_HOLE));
	expect_contents(8 * MIB, zeroes);
	expect_status(8 * MIB, MIB, DATA);
}

static void fast_zero_is_fast_or_refused(void)
{
	write_mib(0);
	NBD_CHECK_FAILS(ENOTSUP,
			nbd_zero(nbd, MIB, 0, LIBNBD_CMD_FLAG_FAST_ZERO | LIBNBD_CMD_FLAG_NO_HOLE));
	expect_contents(0, written);
	NBD_CHECK(nbd_zero(nbd, MIB, 0, LIBNBD_CMD_FLAG_FAST_ZERO));
	expect_contents(0, zeroes);
	expect_status(0, MIB, HOLE);
}

/* A request that ends one byte before 4 GiB leaves that byte: in a trim, its whole block. */
static void the_largest_requests(void)
{
	uint64_t last = LARGEST + 1 - MIB;

	write_mib(0);
	write_mib(last);
	NBD_CHECK(nbd_zero(nbd, LARGEST, 0, 0));
	expect_contents(0, zeroes);
	NBD_CHECK(nbd_pread(nbd, got, MIB, last, 0));
	CHECK(memcmp(got, zeroes, MIB - 1) == 0, "not zeroed to its end");
	CHECK(got[MIB - 1] == written[0], "zeroed beyond its end");
	expect_status(0, LARGEST + 1 - BLOCK_SIZE, HOLE);
	expect_status(LARGEST + 1 - BLOCK_SIZE, BLOCK_SIZE, DATA);

	write_mib(0);
	write_mib(last);
	NBD_CHECK(nbd_trim(nbd, LARGEST, 0, 0));
	expect_contents(0, zeroes);
	NBD_CHECK(nbd_pread(nbd, got, MIB, last, 0));
	CHECK(memcmp(got, zeroes, MIB - BLOCK_SIZE) == 0, "not trimmed to its end");
	CHECK(memcmp(got + MIB - BLOCK_SIZE, written, BLOCK_SIZE) == 0, "trimmed beyond its end");
}

int main(void)
{
	server_start(DEVICE_SIZE, NULL);
	nbd = server_connect();
	trim_gives_pages_back();
	zero_gives_pages_back();
	zero_without_hole_stays_provisioned();
	fast_zero_is_fast_or_refused();
	the_largest_requests();
	server_disconnect(nbd);
	server_check_alive();
	server_stop_sound();
	return 0;
}
