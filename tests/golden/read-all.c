/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * read-all.c - copy a device's disk, block by block, into a file; say of each block that cannot be
 * read why not, and put zeroes there.
 *
 *     ./read-all DEVICE FILE
 *
 * Exits with 1, and the library's message, if the device cannot be opened read-only.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmemblk.h"

static int copy(struct kmemblk *h, FILE *to)
{
	char block[KMEMBLK_BLOCK_SIZE];
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	for (uint64_t i = 0; i < info.blocks; i++) {
		if (kmemblk_read(h, block, sizeof(block), i * sizeof(block)) != 0) {
			puts(kmemblk_error());
			memset(block, 0, sizeof(block));
		}
		if (fwrite(block, sizeof(block), 1, to) != 1)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct kmemblk *h;
	FILE *to;
	int rc;

	if (argc != 3)
		return 2;
	if (kmemblk_open(argv[1], KMEMBLK_OPEN_READONLY, &h) != 0 || kmemblk_start(h) != 0) {
		puts(kmemblk_error());
		return 1;
	}
	to = fopen(argv[2], "we");
	if (to == NULL)
		return 2;
	rc = copy(h, to);
	kmemblk_close(h);
	return fclose(to) != 0 || rc != 0 ? 2 : 0;
}
