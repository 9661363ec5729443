/* SPDX-License-Identifier: BSD-3-Clause */
/* median.h - the median of what the rounds of a bench gave. */
#ifndef MEDIAN_H
#define MEDIAN_H

#include <stdlib.h>
#include <string.h>

/* At most so many rounds. */
#define ROUNDS_MAX 99u

static inline int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double median(const double *values, unsigned int n)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, n * sizeof(values[0]));
	qsort(sorted, n, sizeof(sorted[0]), by_size);
	return sorted[n / 2];
}

#endif /* MEDIAN_H */
