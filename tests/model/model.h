/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model.h - the reference that the model test compares the disk with.
 *
 * The first half of the disk is for whole blocks, any of which any thread may change at any time
 * (whole.c); the second half is cut into pieces of any length and alignment, each of which only one
 * thread changes (parts.c).  Snapshots of all of it are taken meanwhile (views.c).
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
	SNAPSHOT,
	SNAPSHOT_READ,
	SNAPSHOT_CLONE,
	SNAPSHOT_DELETE,
	OPERATIONS
};

enum wrong {
	TORN,	 /* a mixture */
	LOST,	 /* what was certainly overwritten */
	FOREIGN, /* another's contents, or nobody's */
	LATE,	 /* in a snapshot: what was begun after it was taken */
	CHANGED, /* in a snapshot, or a clone: what was something else before */
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
	struct kmemblk_volume *disk;
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

/*
 * A snapshot: before the call, after it, and what is in it, block by block; then whether all of that can have been
 * there at one instant.  `snapshot` is as many bytes as whole_snapshot_size() says, of memory of share().
 */
size_t whole_snapshot_size(void);
void whole_snapshot_before(void *snapshot);
void whole_snapshot_after(void *snapshot);
void whole_snapshot_block(void *snapshot, uint32_t block, const void *bytes);
void whole_snapshot_judge(void *snapshot);

/* ---- parts.c: bytes from block `first` on --------------------------------------------------- */

void parts_create(uint32_t first, uint32_t blocks, uint64_t seed);
/* PART_READ, or the next change of some piece: what it was. */
enum operation parts_do(struct worker *worker, enum operation operation);
void parts_settle(struct worker *worker);

/* As for whole blocks. */
size_t parts_snapshot_size(void);
void parts_snapshot_before(void *snapshot);
void parts_snapshot_after(void *snapshot);
void parts_snapshot_block(const void *snapshot, uint32_t block, const void *bytes);

/* ---- views.c: snapshots of all blocks -------------------------------------------------------- */

/* `most`: how many snapshots there are at the same time. */
void views_create(unsigned int most, uint32_t blocks);
/* One of this worker's snapshots is taken, read, cloned or deleted; which of these. */
enum operation views_do(struct worker *worker);
/* Before whole_settle() and parts_settle(). */
void views_settle(struct worker *worker);

#endif /* MODEL_H */
