/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * make-v2.c - write the device that v2.od shows, for whoever wants to see how it came about:
 *
 *     ./make-v2 /dev/shm/v2.img && od -A x -t x1 -w32 /dev/shm/v2.img
 */
#include "config.h"

#include <stdio.h>

#include "make.h"

static bool make_second(struct kmemblk *h)
{
	return kmemblk_volume_create(h, "tall", 300000ull * PAGE, 0) == 0;
}

/* All that is written first, nothing of it over anything. */
static bool first_session(struct kmemblk *h)
{
	return make_put(h, "kmem0", 0, "the first block ") &&
	       kmemblk_write(disk_of(h), "a part of a block", 17, PAGE + 100) == 0 &&
	       make_put(h, "kmem0", 5, "to be replaced  ") &&
	       make_put(h, "kmem0", 6, "to be trimmed   ") &&
	       make_put(h, "kmem0", 511, "end of a leaf   ") &&
	       make_put(h, "kmem0", 512, "begin of a leaf ") &&
	       make_put(h, "kmem0", 519, "the last block  ") &&
	       make_put(h, "tall", 0, "first of tall   ") &&
	       make_put(h, "tall", 262144, "a second branch ") &&
	       make_put(h, "tall", 299999, "last of tall    ");
}

static bool second_session(struct kmemblk *h)
{
	return make_put(h, "kmem0", 5, "the replacement ") &&
	       kmemblk_zero(disk_of(h), PAGE, 7 * PAGE, KMEMBLK_ZERO_NO_HOLE) == 0 &&
	       kmemblk_trim(disk_of(h), PAGE, 6 * PAGE) == 0;
}

int main(int argc, char **argv)
{
	struct kmemblk_format_options options = { .label = "golden \xc3\xa9 v2",
						  .create_size = 700 * PAGE,
						  .disk_size = 520 * PAGE,
						  .spare_pages = 20 };

	if (argc != 2) {
		fprintf(stderr, "usage: make-v2 FILE\n");
		return 2;
	}
	return make_end("make-v2", make_begin(argv[1], &options) && make_run(make_second) &&
					   make_run(first_session) && make_run(second_session));
}
