/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * requests.c - count requests and how long they took, for kmemblk stat and top.
 *
 * Counted only when somebody could ask, that is with lend=.  A histogram a kind, with eight steps to
 * each doubling of time, so a percentile is off by a twelfth at most; a few of them side by side, by
 * the CPU at hand, so that requests do not meet on one cache line.
 */
#include "config.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "requests.h"

#define STEPS  8u   /* a power of 2 */
#define SHIFT  3u   /* its logarithm */
#define TIMES  384u /* up to 2^48 ns */
#define SHARDS 16u  /* a power of 2 */

struct counts {
	_Atomic uint64_t count, bytes, max_ns;
	_Atomic uint64_t time[TIMES];
} __attribute__((aligned(128)));

static struct counts counts[SHARDS][KMEMBLK_REQUEST_KINDS];
static bool counting; /* set before the first request */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The step of a time, and the time that is the upper end of a step. */
static unsigned int step_of(uint64_t ns)
{
	unsigned int log, step;

	if (ns < STEPS)
		return (unsigned int)ns;
	log = 63u - (unsigned int)__builtin_clzll(ns);
	step = ((log - SHIFT + 1) << SHIFT) + (unsigned int)((ns >> (log - SHIFT)) & (STEPS - 1));
	return step < TIMES ? step : TIMES - 1;
}

static uint64_t end_of(unsigned int step)
{
	if (step < STEPS)
		return step;
	return ((uint64_t)(STEPS + step % STEPS + 1) << (step / STEPS - 1)) - 1;
}

void requests_count(void)
{
	counting = true;
}

uint64_t request_begin(void)
{
	return counting ? now_ns() : 0;
}

/* Relaxed throughout: numbers to look at, which order nothing. */
static void add(_Atomic uint64_t *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

void request_end(enum kmemblk_request_kind kind, uint64_t begun, uint64_t bytes)
{
	struct counts *c;
	uint64_t ns, max;

	if (!counting)
		return;
	ns = now_ns() - begun;
	c = &counts[(unsigned int)sched_getcpu() & (SHARDS - 1)][kind];
	add(&c->count, 1);
	add(&c->bytes, bytes);
	add(&c->time[step_of(ns)], 1);
	max = atomic_load_explicit(&c->max_ns, memory_order_relaxed);
	while (ns > max &&
	       !atomic_compare_exchange_weak_explicit(&c->max_ns, &max, ns, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

struct sum {
	uint64_t count, bytes, max_ns, time[TIMES];
};

static void sum_up(enum kmemblk_request_kind kind, struct sum *sum)
{
	*sum = (struct sum){ 0 };
	for (unsigned int i = 0; i < SHARDS; i++) {
		const struct counts *c = &counts[i][kind];
		uint64_t max = atomic_load_explicit(&c->max_ns, memory_order_relaxed);

		sum->bytes += atomic_load_explicit(&c->bytes, memory_order_relaxed);
		if (max > sum->max_ns)
			sum->max_ns = max;
		for (unsigned int step = 0; step < TIMES; step++) {
			uint64_t n = atomic_load_explicit(&c->time[step], memory_order_relaxed);

			sum->time[step] += n;
			sum->count += n;
		}
	}
}

/* Microseconds within which `permille` of the requests were done. */
static double within_us(const struct sum *sum, unsigned int permille)
{
	uint64_t before = 0, wanted = (sum->count * permille + 999) / 1000;

	for (unsigned int step = 0; step < TIMES; step++) {
		before += sum->time[step];
		if (before >= wanted && before > 0) {
			uint64_t ns = end_of(step) < sum->max_ns ? end_of(step) : sum->max_ns;

			return (double)ns / 1000;
		}
	}
	return 0;
}

void requests_get(void *opaque, struct kmemblk_request_counts requests[KMEMBLK_REQUEST_KINDS])
{
	struct sum sum;

	(void)opaque;
	for (int kind = 0; kind < KMEMBLK_REQUEST_KINDS; kind++) {
		sum_up((enum kmemblk_request_kind)kind, &sum);
		requests[kind] = (struct kmemblk_request_counts){
			.count = sum.count,
			.bytes = sum.bytes,
			.p50_us = within_us(&sum, 500),
			.p99_us = within_us(&sum, 990),
			.p999_us = within_us(&sum, 999),
			.max_us = (double)sum.max_ns / 1000,
		};
	}
}
