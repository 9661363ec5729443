/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model.h - what each block may hold after a power failure.
 *
 * Requests may be done in any order that real time allows: one that returned before another began
 * comes first.  After a power failure all that have been acknowledged are done, and any of those in
 * flight.  For each block the model keeps every state that is possible so: what the block holds, and
 * which of the requests in flight that includes.  In one thread that leaves old or new for a request
 * in flight, and new for an acknowledged one.
 */
#ifndef MODEL_H
#define MODEL_H

#include "ops.h"
#include "recorder.h"

/* 3 requests in flight can be done, or not, in 16 ways. */
#define STATES 24u

struct state {
	uint8_t bytes[BLOCK_SIZE];
	uint64_t hash;
	unsigned int done; /* bit i: model->flight[i] is done */
};

struct flight {
	struct op op;
	unsigned int number;
	bool going;
};

struct model {
	struct state state[BLOCKS][STATES];
	unsigned int count[BLOCKS];
	struct flight flight[DRIVEN_THREADS];
};

void model_begin(struct model *model, const uint8_t *disk);
void model_op_begins(struct model *model, const struct op *op, unsigned int number);
void model_op_acked(struct model *model, unsigned int number);

/*
 * The request failed, and `disk` is what was read after it: each block of its range is old or new,
 * and stays so.  False, and `why`, if one is neither.
 */
bool model_op_failed(struct model *model, unsigned int number, const uint8_t *disk, char *why,
		     size_t size);

/* Which blocks an image's disk holds that it must not: false, and `why`. */
bool model_allows(const struct model *model, const uint8_t *disk, char *why, size_t size);

/* A hash of all that is allowed. */
uint64_t model_rules(const struct model *model);

#endif /* MODEL_H */
