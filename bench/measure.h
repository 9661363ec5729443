/* SPDX-License-Identifier: BSD-3-Clause */
/* measure.h - the clock of a bench, its random numbers, and the order of what it measured. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* At most so many rounds. */
#define ROUNDS_MAX 99u

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

static inline int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sort, so that the one in the middle is the median. */
static inline void sort_values(double *values, size_t n)
{
	qsort(values, n, sizeof(values[0]), by_size);
}

#endif /* MEASURE_H */
