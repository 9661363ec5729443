/* SPDX-License-Identifier: BSD-3-Clause */
/* measure.h - the clock of a bench, and its random numbers. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds. */
static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The next number of a seed, which is not 0. */
static inline uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

#endif /* MEASURE_H */
