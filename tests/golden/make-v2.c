/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * make-v2.c - write the device that v2.od shows, for whoever wants to see how it came about:
 *
 *     ./make-v2 /dev/shm/v2.img && od -A x -t x1 -w32 /dev/shm/v2.img
 *
 * It gives the same bytes each time: uuid, family and time of creation are set, one thread on one processor
 * takes free pages in order, and no page is freed before the last is taken.
 */
#include "config.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmemblk.h"
#include "unit.h"

#define PAGES 700

static int fd;

static void fill(uint8_t *page, const char *text)
{
	for (size_t i = 0; i < PAGE; i += 16)
		memcpy(page + i, text, 16);
}

static int put(struct kmemblk *h, uint64_t block, const char *text)
{
	uint8_t page[PAGE];

	fill(page, text);
	return kmemblk_write(h, page, PAGE, block * PAGE);
}

/* All that is written first, nothing of it over anything. */
static int first_session(struct kmemblk *h)
{
	return kmemblk_start(h) == 0 && put(h, 0, "the first block ") == 0 &&
	       kmemblk_write(h, "a part of a block", 17, PAGE + 100) == 0 &&
	       put(h, 5, "to be replaced  ") == 0 && put(h, 6, "to be trimmed   ") == 0 &&
	       put(h, 511, "end of a leaf   ") == 0 && put(h, 512, "begin of a leaf ") == 0 &&
	       put(h, 519, "the last block  ") == 0;
}

static int second_session(struct kmemblk *h)
{
	return kmemblk_start(h) == 0 && put(h, 5, "the replacement ") == 0 &&
	       kmemblk_zero(h, PAGE, 7 * PAGE, KMEMBLK_ZERO_NO_HOLE) == 0 &&
	       kmemblk_trim(h, PAGE, 6 * PAGE) == 0;
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

/* Set what differs from run to run, in the superblock at `page`. */
static int settle(off_t page)
{
	static const uint8_t created[8] = { 0x00, 0xe4, 0x0b, 0x54, 0x02 }; /* 10000000000 */
	static const uint8_t uuid[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4c, 0xde,
					  0x8f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd };
	static const uint8_t family[8] = { 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01 };
	uint8_t bytes[PAGE], crc[4];
	uint32_t value;

	if (pwrite(fd, created, 8, page * PAGE + 96) != 8 ||
	    pwrite(fd, uuid, 16, page * PAGE + 104) != 16 ||
	    pwrite(fd, family, 8, page * PAGE + 184) != 8 ||
	    pread(fd, bytes, PAGE, page * PAGE) != PAGE)
		return 0;
	value = unit_crc32c(bytes, PAGE - 4);
	for (int i = 0; i < 4; i++)
		crc[i] = (uint8_t)(value >> (8 * i));
	return pwrite(fd, crc, 4, page * PAGE + PAGE - 4) == 4;
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
	/* The family first: what is written depends on it. */
	if (kmemblk_format(argv[1], &options) == 0) {
		fd = open(argv[1], O_RDWR | O_CLOEXEC);
		if (fd != -1 && settle(0) && settle(PAGES - 1) && run(argv[1], first_session) &&
		    run(argv[1], second_session))
			return 0;
	}
	fprintf(stderr, "make-v2: %s\n", kmemblk_error());
	return 1;
}
