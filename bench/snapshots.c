/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * snapshots.c - what snapshots cost who writes.
 *
 * Steady overwrites, 4 KiB at random, of a volume with 10 snapshots against one without, both on fully mapped devices
 * whose blocks have been shuffled; and the first write to 2 MiB after a snapshot, which copies a table, against another
 * write to the same.  In rounds that alternate, as in store.c.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kmemblk.h"
#include "measure.h"
#include "figures.h"

#define PAGE	  4096u
#define LEAF	  512u /* blocks of one table */
#define SNAPSHOTS 10u
#define SLICES	  25u
#define SLICE_OPS 4000u

struct disk {
	struct kmemblk *h;
	struct kmemblk_volume *v;
	uint64_t blocks;
};

static uint8_t bytes[PAGE] = { 1 };

static void must(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, kmemblk_error());
	exit(1);
}

static void write_block(struct disk *d, uint64_t block)
{
	must(kmemblk_write(d->v, bytes, PAGE, block * PAGE), "write");
}

static void snapshot(struct disk *d, const char *name)
{
	must(kmemblk_snapshot(d->h, &name, 1, 0), "snapshot");
}

/* All blocks mapped, and shuffled; `size` is the disk's, and the device has room for all of it three times. */
static void make(struct disk *d, const char *dir, uint64_t size)
{
	struct kmemblk_format_options options = { .create_size = 3 * size + (64 << 20),
						  .disk_size = size };
	uint64_t seed = 88172645463325252u;
	char path[256];

	snprintf(path, sizeof(path), "%s/kmemblk-bench.%ld", dir, (long)getpid());
	must(kmemblk_format(path, &options), path);
	must(kmemblk_open(path, 0, &d->h), path);
	unlink(path);
	must(kmemblk_start(d->h), path);
	must(kmemblk_volume_open(d->h, NULL, &d->v), path);
	d->blocks = size / PAGE;
	for (uint64_t block = 0; block < d->blocks; block++)
		write_block(d, block);
	for (uint64_t i = 0; i < d->blocks; i++)
		write_block(d, next(&seed) % d->blocks);
}

/* Ten of them, with a twentieth of the blocks written in between; then all leaves are the volume's own again. */
static void take_ten(struct disk *d)
{
	uint64_t seed = 1234567;
	char name[32];

	for (unsigned int i = 0; i < SNAPSHOTS; i++) {
		snprintf(name, sizeof(name), "kmem0@s%u", i);
		snapshot(d, name);
		for (uint64_t n = 0; n < d->blocks / 20; n++)
			write_block(d, next(&seed) % d->blocks);
	}
	for (uint64_t block = 0; block < d->blocks; block++)
		write_block(d, block);
}

static double slice(struct disk *d, uint64_t seed)
{
	double start = now();

	for (unsigned int i = 0; i < SLICE_OPS; i++)
		write_block(d, next(&seed) % d->blocks);
	return (now() - start) / SLICE_OPS;
}

static double one(struct disk *d, uint64_t block)
{
	double start = now();

	write_block(d, block);
	return now() - start;
}

/* The medians of first and of other writes to each leaf after a snapshot. */
static void first_writes(struct disk *d, double *first, double *other, uint64_t seed)
{
	static double a[ROUNDS_MAX], b[ROUNDS_MAX];
	uint64_t leaves = d->blocks / LEAF, n = leaves < ROUNDS_MAX ? leaves : ROUNDS_MAX;

	snapshot(d, "kmem0@first");
	for (uint64_t i = 0; i < n; i++) {
		uint64_t leaf = i * leaves / n;

		a[i] = one(d, leaf * LEAF + next(&seed) % LEAF);
		b[i] = one(d, leaf * LEAF + next(&seed) % LEAF);
	}
	sort_values(a, n);
	sort_values(b, n);
	*first = a[n / 2];
	*other = b[n / 2];
	must(kmemblk_volume_delete(d->h, "kmem0@first", 0), "delete");
	/* So that the next round begins with leaves that are owned. */
	for (uint64_t leaf = 0; leaf < leaves; leaf++)
		write_block(d, leaf * LEAF);
}

int main(int argc, char **argv)
{
	uint64_t size = (argc > 1 ? strtoull(argv[1], NULL, 0) : 1024) << 20;
	unsigned int rounds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 15;
	const char *dir = argc > 3 ? argv[3] : "/dev/shm";
	static double with[ROUNDS_MAX], without[ROUNDS_MAX], first[ROUNDS_MAX], other[ROUNDS_MAX];
	struct disk plain, ten;
	char what[64];
	uint64_t seed = 0x9E3779B97F4A7C15u;

	if (size < 2 << 20 || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: snapshots [MIB [ROUNDS [DIRECTORY]]]\n");
		return 2;
	}
	make(&plain, dir, size);
	make(&ten, dir, size);
	take_ten(&ten);
	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < SLICES; i++) {
			(void)next(&seed);
			/* The one that comes after the other has its turn to be the first. */
			if (i % 2 == 0)
				with[round] += slice(&ten, seed) / SLICES;
			without[round] += slice(&plain, seed) / SLICES;
			if (i % 2 != 0)
				with[round] += slice(&ten, seed) / SLICES;
		}
		first_writes(&plain, &first[round], &other[round], next(&seed));
	}
	snprintf(what, sizeof(what), "%llu MiB", (unsigned long long)(size >> 20));
	print_figures("snapshots", what, "overwrite", "ns", without, rounds);
	print_figures("snapshots", what, "overwrite, 10 snapshots", "ns", with, rounds);
	print_figures("snapshots", what, "another write to 2 MiB", "ns", other, rounds);
	print_figures("snapshots", what, "first write to 2 MiB", "ns", first, rounds);
	kmemblk_volume_close(plain.v);
	kmemblk_volume_close(ten.v);
	kmemblk_close(plain.h);
	kmemblk_close(ten.h);
	return 0;
}
