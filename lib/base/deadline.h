/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * deadline.h - the time, and until when to wait, on CLOCK_MONOTONIC: no change of the clock on the wall
 * makes a wait longer or shorter.
 */
#ifndef DEADLINE_H
#define DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline struct timespec deadline_after(uint64_t ms)
{
	int64_t at = now_ns() + (int64_t)ms * 1000000;

	return (struct timespec){ .tv_sec = at / 1000000000, .tv_nsec = at % 1000000000 };
}

static inline int64_t deadline_left_ns(const struct timespec *until)
{
	return until->tv_sec * 1000000000LL + until->tv_nsec - now_ns();
}

static inline bool deadline_passed(const struct timespec *until)
{
	return deadline_left_ns(until) <= 0;
}

/* In milliseconds, rounded up; 0 if it has passed. */
static inline uint64_t deadline_left(const struct timespec *until)
{
	int64_t ns = deadline_left_ns(until);

	return ns > 0 ? ((uint64_t)ns + 999999) / 1000000 : 0;
}

#endif /* DEADLINE_H */
