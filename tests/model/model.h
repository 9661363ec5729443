/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model.h - the reference that the model test compares the disk with.
 *
 * The first half of the disk is for whole blocks, any of which any thread may change at any time
 * (whole.c); the second half is cut into pieces of any length and alignment, each of which only one
 * thread changes (parts.c).
 *
 * All of the reference is in memory shared with forked children, so that it outlives one that is
 * killed.
 */
#ifndef MODEL_H
#define MODEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "harness.h"

/*
 * The reference orders what it must by being looked at before and after calls, which are opaque to
 * the compiler.  Under ThreadSanitizer it must not order anything between threads: an ordering
 * that the library lacks would be hidden by it.
 */
#if WITH_TSAN
#define MODEL_ORDER memory_order_relaxed
#else
#define MODEL_ORDER memory_order_seq_cst
#endif

#define LOAD(object)	   atomic_load_explicit(&(object), MODEL_ORDER)
#define STORE(object, to)  atomic_store_explicit(&(object), (to), MODEL_ORDER)
#define ADD(object, value) atomic_fetch_add_explicit(&(object), (value), MODEL_ORDER)

/* Raise to `value` if it is below. */
static inline void raise_to(_Atomic uint32_t *object, uint32_t value)
{
	uint32_t seen = atomic_load_explicit(object, MODEL_ORDER);

	while (seen < value && !atomic_compare_exchange_weak_explicit(object, &seen, value,
								      MODEL_ORDER, MODEL_ORDER))
		;
}

/* Blocks of the longest request: more than the library handles at once. */
#define MOST_BLOCKS 300u

enum operation {
	READ,
	READ_UNALIGNED,
	WRITE,
	WRITE_SEVERAL,
	WRITE_LONG,
	TRIM,
	ZERO,
	ZERO_NO_HOLE,
	PART_READ,
	PART_WRITE,
	PART_ZERO,
	EXTENTS,
	FLUSH,
	OPERATIONS
};

enum wrong {
	TORN,	 /* a mixture */
	LOST,	 /* what was certainly overwritten */
	FOREIGN, /* another's contents, or nobody's */
	WRONGS
};

struct reference {
	_Atomic uint32_t clock; /* rises with each change of whole blocks */
	_Atomic uint64_t progress;
	_Atomic uint64_t done[OPERATIONS];
	_Atomic uint64_t wrong[WRONGS];
};

struct worker {
	pthread_t thread;
	struct kmemblk *handle;
	unsigned int number;
	uint64_t random;
	uint8_t buf[MOST_BLOCKS * BLOCK_SIZE];
};

extern struct reference *reference;
extern unsigned int threads;

/* Zeroed memory that forked children share. */
void *share(size_t size);

/* Count something wrong, and say so (the first few times). */
void wrong(enum wrong kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- whole.c: blocks [0, whole_blocks) ------------------------------------------------------ */

void whole_create(uint32_t blocks, uint32_t changes_per_phase);
/* One random operation of the kind. */
void whole_do(struct worker *worker, enum operation operation);
/*
 * Nobody else is at work: check everything, and take what is there for the only right contents
 * from now on.
 */
void whole_settle(struct worker *worker);

/* ---- parts.c: bytes from block `first` on --------------------------------------------------- */

void parts_create(uint32_t first, uint32_t blocks, uint64_t seed);
/* PART_READ, or the next change of some piece: what it was. */
enum operation parts_do(struct worker *worker, enum operation operation);
void parts_settle(struct worker *worker);

#endif /* MODEL_H */
