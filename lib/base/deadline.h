/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deadline.h - until when to wait, on CLOCK_MONOTONIC: no change of the clock on the wall makes a
 * wait longer or shorter.
 */
#ifndef DEADLINE_H
#define DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline struct timespec deadline_after(uint64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

static inline bool deadline_passed(const struct timespec *until)
{
	struct timespec now = deadline_after(0);

	return now.tv_sec > until->tv_sec ||
	       (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec);
}

/* In milliseconds, rounded up; 0 if it has passed. */
static inline uint64_t deadline_left(const struct timespec *until)
{
	struct timespec now = deadline_after(0);
	int64_t ns =
		(int64_t)(until->tv_sec - now.tv_sec) * 1000000000 + until->tv_nsec - now.tv_nsec;

	return ns > 0 ? ((uint64_t)ns + 999999) / 1000000 : 0;
}

#endif /* DEADLINE_H */
