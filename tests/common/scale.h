/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scale.h - what makes a test slow, and how much one that can do more or less of the same does then.
 */
#ifndef SCALE_H
#define SCALE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __SANITIZE_THREAD__
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#ifndef WITH_TSAN
#define WITH_TSAN 0
#endif

/* In `make check-valgrind`. */
static inline bool under_valgrind(void)
{
	return getenv("KMEMBLK_VALGRIND") != NULL;
}

/* Valgrind makes each instruction take some thirty times as long: that much less, at least one. */
static inline uint64_t scale(uint64_t count)
{
	if (!under_valgrind())
		return count;
	return count < 30 ? 1 : count / 30;
}

/* For threads that race: ThreadSanitizer makes each access take ten times as long. */
static inline uint64_t scale_races(uint64_t count)
{
	return WITH_TSAN && count >= 10 ? count / 10 : scale(count);
}

#endif /* SCALE_H */
