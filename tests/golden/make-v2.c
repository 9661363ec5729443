/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * make-v2.c - write the device that v2.od shows, for whoever wants to see how it came about:
 *
 *     ./make-v2 /dev/shm/v2.img && od -A x -t x1 -w32 /dev/shm/v2.img
 *
 * It gives the same bytes each time: uuids, families and times of creation are set, one thread on one
 * processor takes free pages in order, and no page is freed before the last is taken.
 */
#include "config.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmemblk.h"
#include "unit.h"
#include "common/disk.h"

#define PAGES 700

static int fd;

static void fill(uint8_t *page, const char *text)
{
	for (size_t i = 0; i < PAGE; i += 16)
		memcpy(page + i, text, 16);
}

static int put(struct kmemblk_volume *v, uint64_t block, const char *text)
{
	uint8_t page[PAGE];

	fill(page, text);
	return kmemblk_write(v, page, PAGE, block * PAGE);
}

static int make_second(struct kmemblk *h)
{
	return kmemblk_start(h) == 0 && kmemblk_volume_create(h, "tall", 300000ull * PAGE, 0) == 0;
}

static int write_tall(struct kmemblk *h)
{
	struct kmemblk_volume *v;
	int done;

	if (kmemblk_volume_open(h, "tall", &v) != 0)
		return 0;
	done = put(v, 0, "first of tall   ") == 0 && put(v, 262144, "a second branch ") == 0 &&
	       put(v, 299999, "last of tall    ") == 0;
	kmemblk_volume_close(v);
	return done;
}

/* All that is written first, nothing of it over anything. */
static int first_session(struct kmemblk *h)
{
	if (kmemblk_start(h) != 0)
		return 0;
	return put(disk_of(h), 0, "the first block ") == 0 &&
	       kmemblk_write(disk_of(h), "a part of a block", 17, PAGE + 100) == 0 &&
	       put(disk_of(h), 5, "to be replaced  ") == 0 &&
	       put(disk_of(h), 6, "to be trimmed   ") == 0 &&
	       put(disk_of(h), 511, "end of a leaf   ") == 0 &&
	       put(disk_of(h), 512, "begin of a leaf ") == 0 &&
	       put(disk_of(h), 519, "the last block  ") == 0 && write_tall(h);
}

static int second_session(struct kmemblk *h)
{
	return kmemblk_start(h) == 0 && put(disk_of(h), 5, "the replacement ") == 0 &&
	       kmemblk_zero(disk_of(h), PAGE, 7 * PAGE, KMEMBLK_ZERO_NO_HOLE) == 0 &&
	       kmemblk_trim(disk_of(h), PAGE, 6 * PAGE) == 0;
}

static int run(const char *path, int (*session)(struct kmemblk *h))
{
	struct kmemblk *h;
	int done;

	if (kmemblk_open(path, 0, &h) != 0)
		return 0;
	done = session(h);
	kmemblk_close(h);
	return done;
}

/* ---- what differs from run to run ------------------------------------------------------------ */

static int put_bytes(uint64_t page, unsigned int at, const void *bytes, size_t len)
{
	return pwrite(fd, bytes, len, (off_t)(page * PAGE + at)) == (ssize_t)len;
}

/* The checksum of a page's first bytes, behind them. */
static int seal(uint64_t page, unsigned int at)
{
	uint8_t bytes[PAGE], crc[4];
	uint32_t value;

	if (pread(fd, bytes, PAGE, (off_t)(page * PAGE)) != PAGE)
		return 0;
	value = unit_crc32c(bytes, at);
	for (int i = 0; i < 4; i++)
		crc[i] = (uint8_t)(value >> (8 * i));
	return put_bytes(page, at, crc, 4);
}

static const uint8_t created[8] = { 0x00, 0xe4, 0x0b, 0x54, 0x02 }; /* 10000000000 */

static int settle_super(uint64_t page)
{
	static const uint8_t uuid[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4c, 0xde,
					  0x8f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd };

	return put_bytes(page, 88, created, 8) && put_bytes(page, 96, uuid, 16) && seal(page, 4092);
}

/* The record that entry `number` of the directory names, before it has tables. */
static int settle_record(unsigned int number)
{
	static const uint8_t families[][8] = {
		{ 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01 },
		{ 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe },
	};
	uint8_t uuid[16] = { 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x43, 0x21,
			     0x8f, 0xed, 0xcb, 0xa9, 0x87, 0x65, 0x43, 0x00 };
	uint8_t entry[8];
	uint64_t page = 0;

	uuid[15] = (uint8_t)number;
	if (pread(fd, entry, 8, PAGE + 8 * number) != 8)
		return 0;
	for (int i = 3; i >= 0; i--)
		page = page << 8 | entry[i];
	return put_bytes(page, 24, families[number], 8) && put_bytes(page, 32, created, 8) &&
	       put_bytes(page, 40, uuid, 16) && seal(page, 4084);
}

static int make(const char *path)
{
	/* The families first: what is written depends on them. */
	if (!settle_super(0) || !settle_super(PAGES - 1) || !settle_record(0) ||
	    !run(path, make_second) || !settle_record(1))
		return 0;
	return run(path, first_session) && run(path, second_session);
}

int main(int argc, char **argv)
{
	struct kmemblk_format_options options = { .label = "golden \xc3\xa9 v2",
						  .create_size = PAGES * PAGE,
						  .disk_size = 520 * PAGE,
						  .spare_pages = 20 };
	cpu_set_t one;

	if (argc != 2) {
		fprintf(stderr, "usage: make-v2 FILE\n");
		return 2;
	}
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (kmemblk_format(argv[1], &options) == 0) {
		fd = open(argv[1], O_RDWR | O_CLOEXEC);
		if (fd != -1 && make(argv[1]))
			return 0;
	}
	fprintf(stderr, "make-v2: %s\n", kmemblk_error());
	return 1;
}
