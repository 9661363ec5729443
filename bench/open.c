/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open.c - what it costs to open a device: processor time, summed over threads, and memory.
 *
 * usage: open [GIB [VOLUMES [DIRECTORY]]]
 *
 * The device is a sparse file on which the maps of one volume are full and shuffled: block by block the pages
 * follow each other as a step that is prime to their number takes them, which is no order for a cache.  The
 * maps are written here, entry by entry, for writing each block would take hours and the storage of the whole
 * device; so the device must not be read with its check values.  A second device of that size has as many
 * empty volumes as asked for, a third one none.
 *
 * Each is opened five times, taking turns.  Memory is what the process has more, without the device.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kmemblk.h"
#include "map/directory.h"
#include "map/map.h"
#include "figures.h"

#define TURNS 5u

struct subject {
	const char *name;
	char path[4096];
	double seconds[TURNS], mib[TURNS];
};

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, kmemblk_error());
	exit(1);
}

/* ---- the maps ------------------------------------------------------------------------------- */

/* Data pages in an order that no cache knows: each once. */
struct shuffle {
	uint64_t first, count, step, at;
};

static uint64_t next_page(struct shuffle *shuffle)
{
	shuffle->at = (shuffle->at + shuffle->step) % shuffle->count;
	return shuffle->first + shuffle->at;
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
	return b == 0 ? a : greatest_divisor(b, a % b);
}

/* The table at a place with all that is below it, on the pages from *table on; the entry that names it. */
static uint64_t fill_table(const struct map *map, unsigned int level, uint64_t number,
			   uint64_t *table, struct shuffle *shuffle)
{
	uint64_t page = (*table)++, below = number << LAYOUT_TABLE_SHIFT;
	uint64_t *entry = (uint64_t *)pm_page(&map->device->pm, page);

	for (unsigned int i = 0; i < LAYOUT_TABLE_ENTRIES; i++, below++)
		if (level == 1 && below < map->record.blocks)
			entry[i] = layout_pack_entry(next_page(shuffle),
						     (uint32_t)(below * 2654435761u) & 0xffffff);
		else if (level > 1 && below < record_tables(map->record.blocks, level - 1))
			entry[i] = fill_table(map, level - 1, below, table, shuffle);
	return map_table_entry(map, page, level, number);
}

static void fill(const char *path)
{
	struct device device;
	struct super super;
	struct record record;
	struct record_verdict verdict;
	struct map map;
	struct shuffle shuffle;
	uint64_t page, table;

	if (device_open(&device, path, false) != 0 || device_map(&device) != 0 ||
	    super_load(&device, &super) != 0)
		die(path);
	page = directory_read(&device, &super, 0, false);
	if (!directory_names(page) || !record_read(&device, page, &record, &verdict))
		die("the record");
	map_open(&map, &device, &super, &record, page);
	table = page + 1;
	shuffle = (struct shuffle){ .first = table + record_all_tables(record.blocks) };
	shuffle.count = super_data_start(&super) + super_data_pages(&super) - shuffle.first;
	shuffle.step = (uint64_t)((double)shuffle.count * 0.6180339887) | 1;
	while (greatest_divisor(shuffle.count, shuffle.step) != 1)
		shuffle.step += 2;
	*(uint64_t *)map.root = fill_table(&map, record.height, 0, &table, &shuffle);
	map_close(&map);
	device_close(&device);
}

/* ---- opening -------------------------------------------------------------------------------- */

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of this process, MiB that no file has. */
static double memory(void)
{
	char line[256];
	double kib = 0;
	FILE *status = fopen("/proc/self/status", "r");

	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
		if (sscanf(line, "RssAnon: %lf", &kib) == 1)
			break;
	if (status != NULL)
		fclose(status);
	return kib / 1024;
}

static void open_once(struct subject *subject, unsigned int turn)
{
	struct kmemblk *h;
	struct kmemblk_volume *volume;
	double before = memory(), from = cpu();

	if (kmemblk_open(subject->path, 0, &h) != 0 || kmemblk_start(h) != 0 ||
	    kmemblk_volume_open(h, NULL, &volume) != 0)
		die(subject->path);
	subject->seconds[turn] = cpu() - from;
	subject->mib[turn] = memory() - before;
	kmemblk_volume_close(volume);
	kmemblk_close(h);
}

static void make(struct subject *subject, const char *name, const char *folder, uint64_t gib,
		 uint64_t volumes)
{
	struct kmemblk_format_options options = { .create_size = gib << 30, .views = volumes + 1 };

	subject->name = name;
	snprintf(subject->path, sizeof(subject->path), "%s/kmemblk-bench-%d-%s", folder,
		 (int)getpid(), name);
	if (kmemblk_format(subject->path, &options) != 0)
		die(subject->path);
}

static void add_volumes(const char *path, unsigned int count)
{
	struct kmemblk *h;
	char name[32];

	if (kmemblk_open(path, 0, &h) != 0 || kmemblk_start(h) != 0)
		die(path);
	for (unsigned int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "volume-%u", i);
		if (kmemblk_volume_create(h, name, 1 << 20, 0) != 0)
			die(name);
	}
	kmemblk_close(h);
}

int main(int argc, char **argv)
{
	uint64_t gib = argc > 1 ? strtoull(argv[1], NULL, 0) : 64;
	unsigned int volumes = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 511;
	const char *folder = argc > 3 ? argv[3] : "/dev/shm";
	static struct subject subjects[3];
	char what[64];

	make(&subjects[0], "empty", folder, gib, volumes);
	make(&subjects[1], "full-directory", folder, gib, volumes);
	make(&subjects[2], "full-maps", folder, gib, volumes);
	add_volumes(subjects[1].path, volumes);
	fill(subjects[2].path);
	for (unsigned int turn = 0; turn < TURNS; turn++)
		for (unsigned int i = 0; i < 3; i++)
			open_once(&subjects[i], turn);
	snprintf(what, sizeof(what), "%llu GiB", (unsigned long long)gib);
	for (unsigned int i = 0; i < 3; i++) {
		print_figures("open", what, subjects[i].name, "CPU s", subjects[i].seconds, TURNS);
		print_figures("open", what, subjects[i].name, "MiB", subjects[i].mib, TURNS);
		unlink(subjects[i].path);
	}
	return 0;
}
