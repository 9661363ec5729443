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
#include <sys/mman.h>

#define HUGE_PAGE ((uintptr_t)2 << 20)

/* All clear; NULL without memory.  End it with free(). */
static inline _Atomic uint64_t *bitmap_new(uint64_t bits)
{
	return calloc(bits / 64 + 1, sizeof(_Atomic uint64_t));
}

/* The same for one of which all is set bit by bit in no order: on large pages, where the kernel has them. */
static inline _Atomic uint64_t *bitmap_new_huge(uint64_t bits)
{
	_Atomic uint64_t *bitmap = bitmap_new(bits);
	uintptr_t from = ((uintptr_t)bitmap + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	uintptr_t to = ((uintptr_t)bitmap + bits / 8) & ~(HUGE_PAGE - 1);

	/* It fails where the kernel has none: then it is slower. */
	if (bitmap != NULL && from < to)
		(void)madvise((void *)from, to - from, MADV_HUGEPAGE);
	return bitmap;
}

/* Set a bit; returns what it was. */
static inline bool bitmap_set(_Atomic uint64_t *bitmap, uint64_t bit)
{
	uint64_t mask = 1ull << (bit % 64);

	return atomic_fetch_or_explicit(&bitmap[bit / 64], mask, memory_order_relaxed) & mask;
}

/* Begin to fetch a bit that is about to be set. */
static inline void bitmap_prefetch(const _Atomic uint64_t *bitmap, uint64_t bit)
{
	__builtin_prefetch((const void *)&bitmap[bit / 64], 1);
}

static inline void bitmap_clear(_Atomic uint64_t *bitmap, uint64_t bit)
{
	atomic_fetch_and_explicit(&bitmap[bit / 64], ~(1ull << (bit % 64)), memory_order_relaxed);
}

static inline bool bitmap_test(const _Atomic uint64_t *bitmap, uint64_t bit)
{
	return atomic_load_explicit(&bitmap[bit / 64], memory_order_relaxed) >> (bit % 64) & 1;
}

/* The first bit in [from, to) that is `value`; `to` if there is none. */
static inline uint64_t bitmap_find(const _Atomic uint64_t *bitmap, uint64_t from, uint64_t to,
				   bool value)
{
	uint64_t flip = value ? 0 : UINT64_MAX, word;

	while (from < to) {
		word = (atomic_load_explicit(&bitmap[from / 64], memory_order_relaxed) ^ flip) >>
		       from % 64;
		if (word != 0) {
			from += (uint64_t)__builtin_ctzll(word);
			return from < to ? from : to;
		}
		from = (from / 64 + 1) * 64;
	}
	return to;
}

#endif /* BITMAP_H */
