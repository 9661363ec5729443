/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model.h - what each block may hold after a power failure.
 *
 * Each block has candidates: what it held before, and what operations put there.  A candidate is
 * out once an operation on the block has been acknowledged that began after the candidate's own
 * was: the block must then hold that or something newer.  In one thread that leaves old or new for
 * an operation in flight, and new for an acknowledged one.
 */
#ifndef MODEL_H
#define MODEL_H

#include "kmemblk.h"
#include "image.h"

#define BLOCK_SIZE KMEMBLK_BLOCK_SIZE
#define BLOCKS	   4u
#define DISK_SIZE  (BLOCKS * BLOCK_SIZE)
#define CANDIDATES 8u

struct candidate {
	uint8_t bytes[BLOCK_SIZE];
	uint64_t hash;
	unsigned int op;	   /* UINT_MAX: none, it was there at the beginning */
	unsigned int begun, acked; /* when; UINT_MAX: not yet */
};

struct model {
	struct candidate candidate[BLOCKS][CANDIDATES];
	unsigned int count[BLOCKS];
	unsigned int now; /* begins and answers so far */
};

enum op_kind { OP_WRITE, OP_TRIM, OP_ZERO, OP_ZERO_NO_HOLE, OP_KINDS };

struct op {
	enum op_kind kind;
	uint32_t offset, count;
};

/* "write@0+4096".  False if it is not such a text. */
bool op_parse(const char *text, struct op *op);
void op_print(const struct op *op, char *text, size_t size);

/* Do it, as number `number` of its sequence: that, and the place, make its bytes its own. */
int op_run(struct kmemblk *handle, const struct op *op, unsigned int number);

void model_begin(struct model *model, const uint8_t *disk);
void model_op_begins(struct model *model, const struct op *op, unsigned int number);
void model_op_acked(struct model *model, unsigned int number);

/* Which blocks an image's disk holds that it must not: false, and `why`. */
bool model_allows(const struct model *model, const uint8_t *disk, char *why, size_t size);

/* A hash of all that is allowed. */
uint64_t model_rules(const struct model *model);

#endif /* MODEL_H */
