/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bitmap.h - a bit a page, which many threads may set.
 *
 * Relaxed order suffices: a bit by itself publishes nothing, and whoever counts on all of them
 * first joins or locks against those who set them.
 */
#ifndef BITMAP_H
#define BITMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* All clear; NULL without memory.  End it with free(). */
static inline _Atomic uint64_t *bitmap_new(uint64_t bits)
{
	return calloc(bits / 64 + 1, sizeof(_Atomic uint64_t));
}

/* Set a bit; returns what it was. */
static inline bool bitmap_set(_Atomic uint64_t *bitmap, uint64_t bit)
{
	uint64_t mask = 1ull << (bit % 64);

	return atomic_fetch_or_explicit(&bitmap[bit / 64], mask, memory_order_relaxed) & mask;
}

static inline void bitmap_clear(_Atomic uint64_t *bitmap, uint64_t bit)
{
	atomic_fetch_and_explicit(&bitmap[bit / 64], ~(1ull << (bit % 64)), memory_order_relaxed);
}

static inline bool bitmap_test(const _Atomic uint64_t *bitmap, uint64_t bit)
{
	return atomic_load_explicit(&bitmap[bit / 64], memory_order_relaxed) >> (bit % 64) & 1;
}

#endif /* BITMAP_H */
