/* SPDX-License-Identifier: BSD-3-Clause */
/* model.c - see model.h. */
#include "config.h"

#include <limits.h>
#include <string.h>

#include "fatal.h"
#include "model.h"

static const char *const kinds[OP_KINDS] = { "write", "trim", "zero", "zero-no-hole" };

bool op_parse(const char *text, struct op *op)
{
	char kind[16];

	if (sscanf(text, "%15[a-z-]@%u+%u", kind, &op->offset, &op->count) != 3)
		return false;
	for (unsigned int k = 0; k < OP_KINDS; k++) {
		op->kind = k;
		if (strcmp(kind, kinds[k]) == 0)
			return op->offset <= DISK_SIZE && op->count <= DISK_SIZE - op->offset;
	}
	return false;
}

void op_print(const struct op *op, char *text, size_t size)
{
	snprintf(text, size, "%s@%u+%u", kinds[op->kind], op->offset, op->count);
}

/* The bytes of operation `number`, where on the disk they stand: in no other place or operation. */
static void fill(uint8_t *to, uint32_t offset, uint32_t count, unsigned int number)
{
	for (uint32_t at = offset; at < offset + count; at++) {
		uint64_t word = hash_mix((uint64_t)(number + 1) << 32 | at / 8);

		*to++ = (uint8_t)(word >> at % 8 * 8);
	}
}

int op_run(struct kmemblk *handle, const struct op *op, unsigned int number)
{
	static __thread uint8_t buf[DISK_SIZE];

	switch (op->kind) {
	case OP_WRITE:
		fill(buf, op->offset, op->count, number);
		return kmemblk_write(handle, buf, op->count, op->offset);
	case OP_TRIM:
		return kmemblk_trim(handle, op->count, op->offset);
	default:
		return kmemblk_zero(handle, op->count, op->offset,
				    op->kind == OP_ZERO ? 0 : KMEMBLK_ZERO_NO_HOLE);
	}
}

void model_begin(struct model *model, const uint8_t *disk)
{
	model->now = 0;
	for (uint32_t b = 0; b < BLOCKS; b++) {
		struct candidate *c = &model->candidate[b][0];

		memcpy(c->bytes, disk + (size_t)b * BLOCK_SIZE, BLOCK_SIZE);
		c->hash = hash_bytes(c->bytes, BLOCK_SIZE);
		c->op = UINT_MAX;
		c->begun = 0;
		c->acked = 0;
		model->count[b] = 1;
	}
}

/* What the operation makes of what `from` says: the bytes [start, end) of the block. */
static void add_candidate(struct model *model, const struct op *op, unsigned int number, uint32_t b,
			  unsigned int from, uint32_t start, uint32_t end)
{
	struct candidate *c = &model->candidate[b][model->count[b]];

	if (model->count[b] == CANDIDATES)
		fatal("too many operations in flight for the model");
	memcpy(c->bytes, model->candidate[b][from].bytes, BLOCK_SIZE);
	if (op->kind == OP_WRITE)
		fill(c->bytes + start, b * BLOCK_SIZE + start, end - start, number);
	else
		memset(c->bytes + start, 0, end - start);
	c->hash = hash_bytes(c->bytes, BLOCK_SIZE);
	c->op = number;
	c->begun = model->now;
	c->acked = UINT_MAX;
	model->count[b]++;
}

static void begins_in_block(struct model *model, const struct op *op, unsigned int number,
			    uint32_t b)
{
	uint32_t block = b * BLOCK_SIZE, last = op->offset + op->count, before = model->count[b];
	uint32_t start = op->offset > block ? op->offset - block : 0;
	uint32_t end = last < block + BLOCK_SIZE ? last - block : BLOCK_SIZE;
	bool whole = start == 0 && end == BLOCK_SIZE;

	if (last <= block || op->offset >= block + BLOCK_SIZE || (op->kind == OP_TRIM && !whole))
		return;
	/* A part may be put into anything that the block may hold meanwhile. */
	for (unsigned int i = whole ? before - 1 : 0; i < before; i++)
		add_candidate(model, op, number, b, i, start, end);
}

void model_op_begins(struct model *model, const struct op *op, unsigned int number)
{
	model->now++;
	for (uint32_t b = 0; b < BLOCKS; b++)
		begins_in_block(model, op, number, b);
}

static void acked_in_block(struct model *model, unsigned int number, uint32_t b)
{
	struct candidate *c = model->candidate[b];
	unsigned int begun = 0, kept = 0;

	for (unsigned int i = 0; i < model->count[b]; i++)
		if (c[i].op == number) {
			c[i].acked = model->now;
			begun = c[i].begun;
		}
	for (unsigned int i = 0; i < model->count[b]; i++) {
		if (c[i].acked < begun)
			continue;
		if (kept != i)
			c[kept] = c[i];
		kept++;
	}
	model->count[b] = kept;
}

void model_op_acked(struct model *model, unsigned int number)
{
	model->now++;
	for (uint32_t b = 0; b < BLOCKS; b++)
		acked_in_block(model, number, b);
}

static bool all_zero(const uint8_t *bytes)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, BLOCK_SIZE - 1) == 0;
}

static bool block_allowed(const struct model *model, const uint8_t *disk, uint32_t b)
{
	for (unsigned int i = 0; i < model->count[b]; i++)
		if (memcmp(disk + (size_t)b * BLOCK_SIZE, model->candidate[b][i].bytes,
			   BLOCK_SIZE) == 0)
			return true;
	return false;
}

/* How far a block that is not allowed agrees with what is. */
static void describe(const struct model *model, const uint8_t *disk, uint32_t b, char *why,
		     size_t size)
{
	const uint8_t *found = disk + (size_t)b * BLOCK_SIZE;
	unsigned int best = 0;

	for (unsigned int i = 0; i < model->count[b]; i++) {
		unsigned int same = 0;

		for (uint32_t line = 0; line < BLOCK_SIZE; line += 64)
			same += memcmp(found + line, model->candidate[b][i].bytes + line, 64) == 0;
		best = same > best ? same : best;
	}
	snprintf(why, size,
		 "block %u is %s; of %u allowed contents it agrees with the nearest in %u of 64 "
		 "lines",
		 b, all_zero(found) ? "all zeroes" : "torn, lost or another's", model->count[b],
		 best);
}

bool model_allows(const struct model *model, const uint8_t *disk, char *why, size_t size)
{
	for (uint32_t b = 0; b < BLOCKS; b++)
		if (!block_allowed(model, disk, b)) {
			describe(model, disk, b, why, size);
			return false;
		}
	return true;
}

uint64_t model_rules(const struct model *model)
{
	uint64_t rules = 0;

	for (uint32_t b = 0; b < BLOCKS; b++)
		for (unsigned int i = 0; i < model->count[b]; i++)
			rules += hash_mix(model->candidate[b][i].hash + b);
	return rules;
}
