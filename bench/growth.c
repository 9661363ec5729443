/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * growth.c - how what is done with a whole device grows with its size.
 *
 * usage: growth [LARGEST-GIB [ROUNDS [DIRECTORY]]]
 *
 * Sparse devices on tmpfs, each four times as large as the one before, from 1 GiB to 1 TiB.  On each as many blocks are
 * written, at the same distance from each other all over it, so that what grows is the maps: up to a table for each block
 * written.  In each round each device has its turn: it is described (kmemblk_probe()), checked, opened, a snapshot is taken
 * of it, one in a hundred of the blocks is overwritten, and the snapshot is deleted.  Milliseconds of the monotonic clock.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kmemblk.h"
#include "measure.h"
#include "figures.h"

#define PAGE	   4096u
#define BLOCKS	   65536u
#define SIZES_MOST 16u

enum figure { PROBE, CHECK, OPEN, SNAPSHOT, DELETE, FIGURES };

static const char *const names[FIGURES] = { "info", "check", "open", "snapshot",
					    "delete a snapshot" };

struct device {
	char path[256];
	uint64_t gib, apart;
	double ms[FIGURES][ROUNDS_MAX];
};

static void must(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, kmemblk_error());
	exit(1);
}

static struct kmemblk *open_device(const struct device *d, struct kmemblk_volume **v)
{
	struct kmemblk *h = NULL;

	must(kmemblk_open(d->path, 0, &h), d->path);
	must(kmemblk_start(h), d->path);
	must(kmemblk_volume_open(h, NULL, v), d->path);
	return h;
}

static void write_every(const struct device *d, struct kmemblk_volume *v, unsigned int step)
{
	static const uint8_t bytes[PAGE] = { 1 };

	for (uint64_t i = 0; i < BLOCKS; i += step)
		must(kmemblk_write(v, bytes, PAGE, i * d->apart * PAGE), "write");
}

static void make(struct device *d, const char *dir, uint64_t gib)
{
	struct kmemblk_format_options options = { .create_size = gib << 30 };
	struct kmemblk_volume_info info;
	struct kmemblk_volume *v;
	struct kmemblk *h = NULL;

	d->gib = gib;
	snprintf(d->path, sizeof(d->path), "%s/kmemblk-bench.%ld.%llu", dir, (long)getpid(),
		 (unsigned long long)gib);
	must(kmemblk_format(d->path, &options), d->path);
	h = open_device(d, &v);
	kmemblk_volume_get_info(v, &info);
	d->apart = info.blocks / BLOCKS;
	write_every(d, v, 1);
	kmemblk_volume_close(v);
	kmemblk_close(h);
}

static double since(double *start)
{
	double from = *start;

	*start = now();
	return (*start - from) / 1e6;
}

static void take_turn(struct device *d, unsigned int round)
{
	static const char *const snapshot = "kmem0@now";
	struct kmemblk_check_result result;
	struct kmemblk_info info;
	struct kmemblk_volume *v;
	double start = now();
	struct kmemblk *h = NULL;

	must(kmemblk_probe(d->path, &info), "info");
	d->ms[PROBE][round] = since(&start);
	must(kmemblk_check(d->path, NULL, &result), "check");
	d->ms[CHECK][round] = since(&start);
	h = open_device(d, &v);
	d->ms[OPEN][round] = since(&start);
	must(kmemblk_snapshot(h, &snapshot, 1, 0), "snapshot");
	d->ms[SNAPSHOT][round] = since(&start);
	write_every(d, v, 100);
	(void)since(&start);
	must(kmemblk_volume_delete(h, snapshot, 0), "delete");
	d->ms[DELETE][round] = since(&start);
	kmemblk_volume_close(v);
	kmemblk_close(h);
}

int main(int argc, char **argv)
{
	uint64_t largest = argc > 1 ? strtoull(argv[1], NULL, 0) : 1024;
	unsigned int rounds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 5, n = 0;
	const char *dir = argc > 3 ? argv[3] : "/dev/shm";
	static struct device device[SIZES_MOST];
	char what[64];

	if (largest == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: growth [LARGEST-GIB [ROUNDS [DIRECTORY]]]\n");
		return 2;
	}
	for (uint64_t gib = 1; gib <= largest && n < SIZES_MOST; gib *= 4)
		make(&device[n++], dir, gib);
	for (unsigned int round = 0; round < rounds; round++)
		for (unsigned int i = 0; i < n; i++)
			take_turn(&device[(round + i) % n], round);
	for (unsigned int i = 0; i < n; i++) {
		snprintf(what, sizeof(what), "%llu GiB", (unsigned long long)device[i].gib);
		for (int figure = 0; figure < FIGURES; figure++)
			print_figures("growth", what, names[figure], "ms", device[i].ms[figure],
				      rounds);
		unlink(device[i].path);
	}
	return 0;
}
