/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * punch.c - what giving free pages back to the kernel costs in steady state.
 *
 * usage: punch [MIB [ROUNDS [OPERATIONS [DIRECTORY]]]]
 *
 * Two devices of the same size, one with punching and the library's own watermark, one
 * without, each half mapped.  In rounds that alternate, each gets the same random trims and writes of
 * 4 KiB, as many of one as of the other, so that the number of mapped blocks stays about the same.
 * The cost is the processor time of the process, all threads, user and system.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kmemblk.h"
#include "measure.h"
#include "figures.h"

#define PAGE 4096u

struct disk {
	struct kmemblk *h;
	struct kmemblk_volume *volume;
	uint64_t blocks;
	uint64_t seed;
	double us[ROUNDS_MAX]; /* an operation */
};

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, kmemblk_error());
	exit(1);
}

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void run(struct disk *disk, uint64_t operations)
{
	static uint8_t buf[PAGE];

	for (uint64_t i = 0; i < operations; i++) {
		uint64_t random = next(&disk->seed), at = (random >> 8) % disk->blocks * PAGE;
		int rc = random & 1 ? kmemblk_trim(disk->volume, PAGE, at)
				    : kmemblk_write(disk->volume, buf, PAGE, at);

		if (rc != 0)
			die("request");
	}
}

static void make(struct disk *disk, const char *dir, uint64_t size, enum kmemblk_punch punch)
{
	struct kmemblk_format_options format = { .create_size = size };
	struct kmemblk_memory_options memory = { .punch = punch,
						 .watermark = KMEMBLK_DEFAULT,
						 .headroom = KMEMBLK_DEFAULT };
	struct kmemblk_info info;
	char path[4096];

	snprintf(path, sizeof(path), "%s/kmemblk-bench.%ld", dir, (long)getpid());
	if (kmemblk_format(path, &format) != 0 || kmemblk_open(path, 0, &disk->h) != 0 ||
	    kmemblk_set_memory(disk->h, &memory) != 0 || kmemblk_start(disk->h) != 0 ||
	    kmemblk_volume_open(disk->h, NULL, &disk->volume) != 0)
		die(path);
	unlink(path);
	kmemblk_get_info(disk->h, &info);
	disk->blocks = info.blocks;
	disk->seed = 88172645463325252u;
	/* Until half of the blocks are mapped, and then it stays so. */
	run(disk, 3 * disk->blocks);
}

int main(int argc, char **argv)
{
	uint64_t size = (argc > 1 ? strtoull(argv[1], NULL, 0) : 512) << 20;
	unsigned int rounds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 15;
	uint64_t operations = argc > 3 ? strtoull(argv[3], NULL, 0) : 200000;
	const char *dir = argc > 4 ? argv[4] : "/dev/shm";
	static struct disk disk[2];
	struct kmemblk_info before, after;
	double punched;
	char what[64];

	if (size == 0 || rounds == 0 || rounds > ROUNDS_MAX || operations == 0) {
		fprintf(stderr, "usage: punch [MIB [ROUNDS [OPERATIONS [DIRECTORY]]]]\n");
		return 2;
	}
	make(&disk[0], dir, size, KMEMBLK_PUNCH);
	make(&disk[1], dir, size, KMEMBLK_PUNCH_NEVER);
	kmemblk_get_info(disk[0].h, &before);
	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < 2; i++) {
			/* Each first in every other round. */
			struct disk *d = &disk[(round + i) % 2];
			double start = cpu();

			run(d, operations);
			d->us[round] = (cpu() - start) / (double)operations;
		}
	}
	kmemblk_get_info(disk[0].h, &after);
	snprintf(what, sizeof(what), "%llu MiB, trims and writes",
		 (unsigned long long)(size >> 20));
	punched = (double)(after.pages_punched - before.pages_punched) /
		  (double)(rounds * operations);
	print_figures("punch", what, "punch=false", "CPU us", disk[1].us, rounds);
	print_figures("punch", what, "punch=true", "CPU us", disk[0].us, rounds);
	print_figures("punch", what, "pages punched an operation", "pages", &punched, 1);
	kmemblk_close(disk[0].h);
	kmemblk_close(disk[1].h);
	return 0;
}
