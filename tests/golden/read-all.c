/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * read-all.c - read all volumes of a device, block by block, and tell what they hold, a line each:
 *
 *     volume NAME BLOCKS
 *     data NAME BLOCK            it is not all zeroes; its bytes are added to the file
 *     lost NAME FIRST LAST       these could not be read; the first's message is on the next line
 *
 *     ./read-all DEVICE FILE
 *
 * Exits with 1, and the library's message, if the device cannot be opened read-only.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "kmemblk.h"

#define NAMES_MAX 512u

static char names[NAMES_MAX][sizeof(((struct kmemblk_volume_info *)NULL)->name)];
static unsigned int count;

static int note_name(void *opaque, const struct kmemblk_volume_info *info)
{
	(void)opaque;
	memcpy(names[count++], info->name, sizeof(info->name));
	return 0;
}

static bool all_zero(const char *block)
{
	return block[0] == 0 && memcmp(block, block + 1, KMEMBLK_BLOCK_SIZE - 1) == 0;
}

/* Blocks in succession that could not be read. */
struct lost {
	const char *name;
	uint64_t first, count;
	char message[512];
};

static void tell_lost(struct lost *lost)
{
	if (lost->count > 0)
		printf("lost %s %llu %llu\n%s\n", lost->name, (unsigned long long)lost->first,
		       (unsigned long long)(lost->first + lost->count - 1), lost->message);
	lost->count = 0;
}

/* False if the file cannot be written. */
static bool read_volume(struct kmemblk *h, const char *name, FILE *to)
{
	struct lost lost = { .name = name };
	char block[KMEMBLK_BLOCK_SIZE];
	struct kmemblk_volume_info info;
	struct kmemblk_volume *v;
	bool written = true;

	if (kmemblk_volume_open(h, name, &v) != 0)
		return false;
	kmemblk_volume_get_info(v, &info);
	printf("volume %s %llu\n", name, (unsigned long long)info.blocks);
	for (uint64_t i = 0; i < info.blocks && written; i++) {
		if (kmemblk_read(v, block, sizeof(block), i * sizeof(block)) != 0) {
			if (lost.count++ == 0) {
				lost.first = i;
				snprintf(lost.message, sizeof(lost.message), "%s", kmemblk_error());
			}
			continue;
		}
		tell_lost(&lost);
		if (all_zero(block))
			continue;
		printf("data %s %llu\n", name, (unsigned long long)i);
		written = fwrite(block, sizeof(block), 1, to) == 1;
	}
	tell_lost(&lost);
	kmemblk_volume_close(v);
	return written;
}

int main(int argc, char **argv)
{
	struct kmemblk *h;
	bool done = true;
	FILE *to;

	if (argc != 3)
		return 2;
	if (kmemblk_open(argv[1], KMEMBLK_OPEN_READONLY, &h) != 0 || kmemblk_start(h) != 0) {
		puts(kmemblk_error());
		return 1;
	}
	to = fopen(argv[2], "we");
	if (to == NULL)
		return 2;
	kmemblk_volume_list(h, note_name, NULL);
	for (unsigned int i = 0; i < count && done; i++)
		done = read_volume(h, names[i], to);
	kmemblk_close(h);
	return fclose(to) != 0 || !done ? 2 : 0;
}
