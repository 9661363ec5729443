/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gate.c - how long a snapshot holds up those who write, what it takes, and what its deletion costs.
 *
 * On a volume of 1 TiB, sparse, on a sparse file on tmpfs.  Two threads overwrite blocks at random, of 4,096 places of
 * 64 KiB that lie all over it, while a third takes snapshots and deletes the oldest when there are ten.  A gate is closed
 * from before map_close_gate() until after map_open_gate(), before which the linker puts functions of this file: by the
 * monotonic clock, less what the thread waited for a processor meanwhile, as /proc/thread-self/schedstat tells.
 *
 * Then, with nobody writing: pages that a snapshot takes, and how long it takes to delete one after which 1 per cent of
 * what is mapped has been overwritten, and one after which all of it has.
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kmemblk.h"
#include "measure.h"
#include "map/map.h"
#include "figures.h"
#include "figures.h"

#define PAGE	 4096u
#define PLACES	 4096u
#define IN_PLACE 16u
#define BLOCKS	 ((uint64_t)PLACES * IN_PLACE)
#define WRITERS	 2u
#define LIVE	 10u
#define ROUNDS	 9u
#define CASE	 "1 TiB"

static struct kmemblk *h;
static struct kmemblk_volume *v;
static uint64_t apart; /* blocks from a place to the next */
static _Atomic bool stop;
static _Atomic uint64_t writes;

/* Of the thread that takes snapshots, while it does. */
static __thread bool timing;
static __thread int schedstat = -1;
static double closed_at, closed_for, waited;

void __real_map_close_gate(struct map *map);
void __wrap_map_close_gate(struct map *map);
void __real_map_open_gate(struct map *map);
void __wrap_map_open_gate(struct map *map);

static void must(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "bench: %s: %s\n", what, kmemblk_error());
	exit(1);
}

/* Nanoseconds for which this thread has been ready to run and had no processor. */
static double run_queue(void)
{
	unsigned long long ran, delay = 0;
	char text[100];
	ssize_t n;

	if (schedstat == -1)
		schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	n = pread(schedstat, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	if (sscanf(text, "%llu %llu", &ran, &delay) != 2)
		return 0;
	return (double)delay;
}

void __wrap_map_close_gate(struct map *map)
{
	if (timing) {
		waited = run_queue();
		closed_at = now();
	}
	__real_map_close_gate(map);
}

void __wrap_map_open_gate(struct map *map)
{
	__real_map_open_gate(map);
	if (timing)
		closed_for = now() - closed_at - (run_queue() - waited);
}

/* ---- who writes ----------------------------------------------------------------------------- */

static void write_nth(uint64_t n)
{
	static const uint8_t bytes[PAGE] = { 1 };

	must(kmemblk_write(v, bytes, PAGE, (n % PLACES * apart + n / PLACES) * PAGE), "write");
}

static void *write_on(void *opaque)
{
	uint64_t seed = 88172645463325252u + *(unsigned int *)opaque;

	while (!atomic_load(&stop)) {
		write_nth(next(&seed) % BLOCKS);
		atomic_fetch_add_explicit(&writes, 1, memory_order_relaxed);
	}
	return NULL;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

static char *name_of(uint64_t number, char name[32])
{
	snprintf(name, 32, "kmem0@s%llu", (unsigned long long)number);
	return name;
}

static void take(uint64_t number)
{
	char text[32];
	const char *name = name_of(number, text);

	must(kmemblk_snapshot(h, &name, 1, 0), "snapshot");
}

/* How long that took. */
static double delete_it(uint64_t number)
{
	char name[32];
	double start = now();

	must(kmemblk_volume_delete(h, name_of(number, name), 0), "delete");
	return now() - start;
}

static void measure_gate(double *ns, unsigned int count)
{
	pthread_t thread[WRITERS];
	unsigned int number[WRITERS];
	double start = now(), rate;

	for (unsigned int i = 0; i < WRITERS; i++) {
		number[i] = i + 1;
		must(pthread_create(&thread[i], NULL, write_on, &number[i]), "thread");
	}
	for (unsigned int i = 0; i < count; i++) {
		timing = true;
		take(i);
		timing = false;
		ns[i] = closed_for;
		if (i >= LIVE)
			(void)delete_it(i - LIVE);
	}
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	rate = (double)atomic_load(&writes) / ((now() - start) / 1e9);
	print_figures("gate", CASE, "writes meanwhile", "writes/s", &rate, 1);
	for (unsigned int i = count < LIVE ? 0 : count - LIVE; i < count; i++)
		(void)delete_it(i);
}

static uint64_t tables(void)
{
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	return info.pages_tables + info.pages_used;
}

/* In milliseconds, after `n` blocks have been overwritten. */
static double measure_delete(uint64_t n)
{
	take(0);
	for (uint64_t i = 0; i < n; i++)
		write_nth(i);
	return delete_it(0) / 1e6;
}

static void measure_quiet(void)
{
	double few[ROUNDS], all[ROUNDS], pages;
	uint64_t before = tables();

	take(0);
	pages = (double)(tables() - before);
	print_figures("gate", CASE, "pages a snapshot takes", "pages", &pages, 1);
	(void)delete_it(0);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		few[round] = measure_delete(BLOCKS / 100);
		all[round] = measure_delete(BLOCKS);
	}
	print_figures("gate", CASE, "deletion, 1 per cent changed", "ms", few, ROUNDS);
	print_figures("gate", CASE, "deletion, all changed", "ms", all, ROUNDS);
}

static void print_gate(double *ns, unsigned int count)
{
	static const struct {
		const char *name;
		double share;
	} within[] = { { "gate closed, median", 0.5 },
		       { "gate closed, p99", 0.99 },
		       { "gate closed, maximum", 1 } };

	sort_values(ns, count);
	for (unsigned int i = 0; i < sizeof(within) / sizeof(within[0]); i++) {
		double ms = ns[(unsigned int)((count - 1) * within[i].share)] / 1e6;

		print_figures("gate", CASE, within[i].name, "ms", &ms, 1);
	}
}

int main(int argc, char **argv)
{
	unsigned int count = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 0) : 1000;
	const char *dir = argc > 2 ? argv[2] : "/dev/shm";
	struct kmemblk_format_options options = { .create_size = 1ull << 40 };
	struct kmemblk_volume_info info;
	char path[256];
	double *ns = calloc(count + 1, sizeof(*ns));

	if (count == 0 || ns == NULL) {
		fprintf(stderr, "usage: gate [SNAPSHOTS [DIRECTORY]]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/kmemblk-bench.%ld", dir, (long)getpid());
	must(kmemblk_format(path, &options), path);
	must(kmemblk_open(path, 0, &h), path);
	unlink(path);
	must(kmemblk_start(h), path);
	must(kmemblk_volume_open(h, NULL, &v), path);
	kmemblk_volume_get_info(v, &info);
	apart = info.blocks / PLACES;
	for (uint64_t n = 0; n < BLOCKS; n++)
		write_nth(n);
	measure_gate(ns, count);
	print_gate(ns, count);
	measure_quiet();
	kmemblk_volume_close(v);
	kmemblk_close(h);
	free(ns);
	return 0;
}
