/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - a program whose time goes into its heap, for memory.sh.
 *
 * Rounds of allocating and freeing blocks of mixed sizes, following pointers at random, and copying.
 * Prints the nanoseconds that one step of each took, the least of all rounds: it is what the memory
 * costs, and not what else the machine did; so is the clock, which stands still when others run.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5
#define BLOCKS 200000u
#define STEPS  1000000u
#define BYTES  ((size_t)64 << 20)

static uint64_t seed = 88172645463325252u;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	if (memory == NULL) {
		fprintf(stderr, "bench: out of memory\n");
		exit(1);
	}
	return memory;
}

static double measure_malloc(void **blocks)
{
	double from = now();

	for (size_t i = 0; i < STEPS / 4; i++) {
		void **block = &blocks[next() % BLOCKS];

		free(*block);
		*block = allocate(16 + next() % 1000);
		*(uint64_t *)*block = i;
	}
	return (now() - from) / (STEPS / 4);
}

static double measure_follow(uint32_t *links)
{
	double from = now();
	uint32_t at = 0;

	for (size_t i = 0; i < STEPS; i++)
		at = links[at];
	/* So that the loop stays. */
	links[0] = links[0] + (at == UINT32_MAX);
	return (now() - from) / STEPS;
}

static double measure_copy(unsigned char *to, const unsigned char *from_bytes)
{
	double from = now();

	memcpy(to, from_bytes, BYTES / 2);
	return (now() - from) / (double)(BYTES / 2 / 4096);
}

/* One cycle through all places (Sattolo). */
static uint32_t *make_links(void)
{
	uint32_t n = BYTES / sizeof(uint32_t), *links = allocate(BYTES);

	for (uint32_t i = 0; i < n; i++)
		links[i] = i;
	for (uint32_t i = n - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(next() % i), link = links[i];

		links[i] = links[j];
		links[j] = link;
	}
	return links;
}

int main(void)
{
	void **blocks = allocate(BLOCKS * sizeof(*blocks));
	uint32_t *links = make_links();
	unsigned char *bytes = allocate(BYTES);
	double least[3] = { 1e18, 1e18, 1e18 };

	memset(blocks, 0, BLOCKS * sizeof(*blocks));
	memset(bytes, 1, BYTES);
	for (int round = 0; round < ROUNDS; round++) {
		double took[3] = { measure_malloc(blocks), measure_follow(links),
				   measure_copy(bytes, bytes + BYTES / 2) };

		for (int i = 0; i < 3; i++)
			least[i] = took[i] < least[i] ? took[i] : least[i];
	}
	printf("%.2f %.2f %.2f\n", least[0], least[1], least[2]);
	return 0;
}
