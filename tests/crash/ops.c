/* SPDX-License-Identifier: BSD-3-Clause */
/* ops.c - see ops.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "fatal.h"
#include "image.h"
#include "ops.h"
#include "io/write.h"
#include "pages/cache.h"
#include "pages/storage.h"
#include "recorder.h"
#include "common/disk.h"

/* What becomes of the bytes of a range. */
enum effect {
	EFFECT_NONE,
	EFFECT_FILL,	    /* bytes of the request's own */
	EFFECT_ZERO,	    /* zeroes */
	EFFECT_ZERO_BLOCKS, /* zeroes, in blocks that lie wholly inside the range */
};

/* The bytes of operation `number`, where on the disk they stand: in no other place or operation. */
static void fill(uint8_t *to, uint32_t offset, uint32_t count, unsigned int number)
{
	for (uint32_t at = offset; at < offset + count; at++) {
		uint64_t word = hash_mix((uint64_t)(number + 1) << 32 | at / 8);

		*to++ = (uint8_t)(word >> at % 8 * 8);
	}
}

static const uint64_t *place;

void ops_place(const uint64_t at[BLOCKS])
{
	place = at;
}

uint64_t ops_disk_size(void)
{
	return (place[BLOCKS - 1] + 1) * BLOCK_SIZE;
}

/* Where a byte is on the disk. */
static uint64_t where(uint32_t offset)
{
	return place[offset / BLOCK_SIZE] * BLOCK_SIZE + offset % BLOCK_SIZE;
}

/* How much of a range stands together, from its first byte on. */
static uint32_t together(uint32_t offset, uint32_t count)
{
	uint32_t block = offset / BLOCK_SIZE, end;

	while (block + 1 < BLOCKS && place[block + 1] == place[block] + 1)
		block++;
	end = (block + 1) * BLOCK_SIZE;
	return offset + count < end ? count : end - offset;
}

static int find_others(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	(void)opaque;
	for (uint64_t block = offset / BLOCK_SIZE; block < (offset + count) / BLOCK_SIZE; block++) {
		unsigned int i = 0;

		if (flags & KMEMBLK_EXTENT_HOLE)
			break;
		while (i < BLOCKS && place[i] != block)
			i++;
		if (i == BLOCKS)
			return fail(EUCLEAN, "block %llu has a page, and nobody wrote there",
				    (unsigned long long)block);
	}
	return 0;
}

static int note_hole(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	bool *hole = opaque;

	(void)offset;
	(void)count;
	*hole = *hole || flags & KMEMBLK_EXTENT_HOLE;
	return 0;
}

bool ops_find_hole(struct kmemblk *handle, const struct op *op)
{
	bool hole = false;

	for (uint32_t at = 0, n; at < op->count; at += n) {
		n = together(op->offset + at, op->count - at);
		if (kmemblk_extents(disk_of(handle), n, where(op->offset + at), note_hole, &hole) !=
		    0)
			fatal("%s", kmemblk_error());
	}
	return hole;
}

int ops_read(struct kmemblk *handle, uint8_t *disk)
{
	struct kmemblk_volume *v = disk_of(handle);
	int rc = 0;

	for (uint32_t at = 0, n; rc == 0 && at < DISK_SIZE; at += n) {
		n = together(at, DISK_SIZE - at);
		rc = kmemblk_read(v, disk + at, n, where(at));
	}
	return rc == 0 ? kmemblk_extents(v, ops_disk_size(), 0, find_others, NULL) : rc;
}

static int run_write(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	static __thread uint8_t buf[DISK_SIZE];
	int rc = 0;

	fill(buf, op->offset, op->count, number);
	for (uint32_t at = 0, n; rc == 0 && at < op->count; at += n) {
		n = together(op->offset + at, op->count - at);
		rc = kmemblk_write(disk_of(handle), buf + at, n, where(op->offset + at));
	}
	return rc;
}

/* Where the last byte of a range is, in one range of the disk with the first, and how long that makes it. */
static uint64_t length_of(const struct op *op)
{
	return where(op->offset + op->count - 1) + 1 - where(op->offset);
}

static int run_trim(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	(void)number;
	return kmemblk_trim(disk_of(handle), length_of(op), where(op->offset));
}

static int run_zero(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	(void)number;
	return kmemblk_zero(disk_of(handle), length_of(op), where(op->offset), 0);
}

static int run_zero_no_hole(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	int rc = 0;

	(void)number;
	for (uint32_t at = 0, n; rc == 0 && at < op->count; at += n) {
		n = together(op->offset + at, op->count - at);
		rc = kmemblk_zero(disk_of(handle), n, where(op->offset + at), KMEMBLK_ZERO_NO_HOLE);
	}
	return rc;
}

static int run_move(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	int rc = 0;

	(void)number;
	for (uint32_t at = op->offset; rc == 0 && at < op->offset + op->count; at += BLOCK_SIZE)
		rc = write_part(disk_of(handle), place[at / BLOCK_SIZE], 0, 0, NULL, true);
	return rc;
}

/* As the library's own thread does it, but now. */
static int run_punch(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	struct pool *pool = &handle->pool;

	(void)op, (void)number;
	cache_empty(pool);
	pthread_mutex_lock(&pool->lock);
	while (storage_punch_locked(pool, pool->count) > 0 || pool_spill_locked(pool))
		;
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

/* What a borrower puts into its memory: no block may ever hold it. */
static void scribble(uint8_t *memory, unsigned int number)
{
	static uint8_t bytes[BLOCK_SIZE];

	memset(bytes, (int)(0xA0 + number), sizeof(bytes));
	recorder_store(memory, bytes, sizeof(bytes));
}

#define LENT_MAX 16u

static void *lent[LENT_MAX];
static unsigned int lent_count;
static void *given_back;

void ops_begin(void)
{
	lent_count = 0;
	given_back = NULL;
}

unsigned int ops_lent(void)
{
	return lent_count;
}

static int run_lend(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	void *memory;

	for (uint32_t n = 0; n < op->count && lent_count < LENT_MAX; n += BLOCK_SIZE) {
		/* None to be had is an answer like any other. */
		if (kmemblk_borrow(handle, BLOCK_SIZE, BLOCK_SIZE, &memory) != 0)
			break;
		scribble(memory, number);
		lent[lent_count++] = memory;
	}
	return 0;
}

static int run_return(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	int rc = 0;

	(void)op;
	while (rc == 0 && lent_count > 0) {
		/* Another thread may borrow while this one stands before the store. */
		given_back = lent[--lent_count];
		scribble(given_back, number);
		rc = kmemblk_return(handle, given_back, BLOCK_SIZE);
	}
	return rc;
}

static int run_return_again(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	(void)op, (void)number;
	if (given_back != NULL)
		(void)kmemblk_return(handle, given_back, BLOCK_SIZE);
	return 0;
}

static int run_fill(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	(void)handle, (void)op, (void)number;
	recorder_fill_file_system();
	return 0;
}

static const struct {
	const char *name;
	enum effect effect;
	bool may_be_refused;
	int (*run)(struct kmemblk *handle, const struct op *op, unsigned int number);
} kinds[OP_KINDS] = {
	[OP_WRITE] = { "write", EFFECT_FILL, true, run_write },
	[OP_TRIM] = { "trim", EFFECT_ZERO_BLOCKS, false, run_trim },
	[OP_ZERO] = { "zero", EFFECT_ZERO, false, run_zero },
	[OP_ZERO_NO_HOLE] = { "zero-no-hole", EFFECT_ZERO, true, run_zero_no_hole },
	[OP_MOVE] = { "move", EFFECT_NONE, false, run_move },
	[OP_PUNCH] = { "punch", EFFECT_NONE, false, run_punch },
	[OP_LEND] = { "lend", EFFECT_NONE, false, run_lend },
	[OP_RETURN] = { "return", EFFECT_NONE, false, run_return },
	[OP_RETURN_AGAIN] = { "return-again", EFFECT_NONE, false, run_return_again },
	[OP_FILL] = { "fill", EFFECT_NONE, false, run_fill },
};

bool op_parse(const char *text, struct op *op)
{
	char name[16];

	if (sscanf(text, "%15[a-z-]@%u+%u", name, &op->offset, &op->count) != 3)
		return false;
	for (unsigned int k = 0; k < OP_KINDS; k++) {
		op->kind = k;
		if (strcmp(name, kinds[k].name) == 0)
			return op->offset <= DISK_SIZE && op->count <= DISK_SIZE - op->offset;
	}
	return false;
}

void op_print(const struct op *op, char *text, size_t size)
{
	snprintf(text, size, "%s@%u+%u", kinds[op->kind].name, op->offset, op->count);
}

int op_run(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	return kinds[op->kind].run(handle, op, number);
}

bool op_may_be_refused(const struct op *op)
{
	return kinds[op->kind].may_be_refused;
}

/* The bytes [*start, *end) of the block that are in the range. */
static bool part_of(const struct op *op, uint32_t block, uint32_t *start, uint32_t *end)
{
	uint32_t first = block * BLOCK_SIZE, last = op->offset + op->count;

	if (last <= first || op->offset >= first + BLOCK_SIZE)
		return false;
	*start = op->offset > first ? op->offset - first : 0;
	*end = last < first + BLOCK_SIZE ? last - first : BLOCK_SIZE;
	return true;
}

bool op_touches(const struct op *op, uint32_t block)
{
	enum effect effect = kinds[op->kind].effect;
	uint32_t start, end;

	return effect != EFFECT_NONE && part_of(op, block, &start, &end) &&
	       (effect != EFFECT_ZERO_BLOCKS || end - start == BLOCK_SIZE);
}

void op_apply(const struct op *op, unsigned int number, uint32_t block, uint8_t *bytes)
{
	uint32_t start, end;

	if (!op_touches(op, block) || !part_of(op, block, &start, &end))
		return;
	if (kinds[op->kind].effect == EFFECT_FILL)
		fill(bytes + start, block * BLOCK_SIZE + start, end - start, number);
	else
		memset(bytes + start, 0, end - start);
}
