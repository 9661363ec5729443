/* SPDX-License-Identifier: BSD-3-Clause */
/* model.c - see model.h. */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "image.h"
#include "model.h"

void model_begin(struct model *model, const uint8_t *disk)
{
	memset(model->flight, 0, sizeof(model->flight));
	for (uint32_t b = 0; b < BLOCKS; b++) {
		struct state *state = &model->state[b][0];

		memcpy(state->bytes, disk + (size_t)b * BLOCK_SIZE, BLOCK_SIZE);
		state->hash = hash_bytes(state->bytes, BLOCK_SIZE);
		state->done = 0;
		model->count[b] = 1;
	}
}

/* True if one of the first `count` states of the block is this one. */
static bool is_known(const struct model *model, uint32_t b, unsigned int count,
		     const struct state *state)
{
	for (unsigned int i = 0; i < count; i++)
		if (model->state[b][i].hash == state->hash &&
		    model->state[b][i].done == state->done)
			return true;
	return false;
}

/* The state in which flight f is done besides those of state `from`. */
static void add_state(struct model *model, uint32_t b, unsigned int from, unsigned int f)
{
	struct state *state = &model->state[b][model->count[b]];

	if (model->count[b] == STATES)
		fatal("too many requests in flight for the model");
	*state = model->state[b][from];
	op_apply(&model->flight[f].op, model->flight[f].number, b, state->bytes);
	state->hash = hash_bytes(state->bytes, BLOCK_SIZE);
	state->done |= 1u << f;
	if (!is_known(model, b, model->count[b], state))
		model->count[b]++;
}

static void close_states(struct model *model, uint32_t b)
{
	/* The count grows meanwhile. */
	for (unsigned int i = 0; i < model->count[b]; i++)
		for (unsigned int f = 0; f < DRIVEN_THREADS; f++)
			if (model->flight[f].going && op_touches(&model->flight[f].op, b) &&
			    !(model->state[b][i].done >> f & 1))
				add_state(model, b, i, f);
}

void model_op_begins(struct model *model, const struct op *op, unsigned int number)
{
	unsigned int f = 0;

	while (f < DRIVEN_THREADS && model->flight[f].going)
		f++;
	if (f == DRIVEN_THREADS)
		fatal("more requests in flight than threads");
	model->flight[f] = (struct flight){ *op, number, true };
	for (uint32_t b = 0; b < BLOCKS; b++)
		close_states(model, b);
}

static unsigned int flight_of(const struct model *model, unsigned int number)
{
	for (unsigned int f = 0; f < DRIVEN_THREADS; f++)
		if (model->flight[f].going && model->flight[f].number == number)
			return f;
	fatal("request %u is answered and was not in flight", number);
}

/* Flight f is over: keep the states in which it is done; or, if it failed, those like `disk`. */
static void end_in_block(struct model *model, uint32_t b, unsigned int f, const uint8_t *disk)
{
	unsigned int kept = 0;

	if (!op_touches(&model->flight[f].op, b))
		return;
	for (unsigned int i = 0; i < model->count[b]; i++) {
		struct state *state = &model->state[b][i];

		if (disk == NULL
			    ? !(state->done >> f & 1)
			    : memcmp(state->bytes, disk + (size_t)b * BLOCK_SIZE, BLOCK_SIZE) != 0)
			continue;
		state->done &= ~(1u << f);
		if (is_known(model, b, kept, state))
			continue;
		if (kept != i)
			model->state[b][kept] = *state;
		kept++;
	}
	model->count[b] = kept;
}

void model_op_acked(struct model *model, unsigned int number)
{
	unsigned int f = flight_of(model, number);

	for (uint32_t b = 0; b < BLOCKS; b++)
		end_in_block(model, b, f, NULL);
	model->flight[f].going = false;
}

bool model_op_failed(struct model *model, unsigned int number, const uint8_t *disk, char *why,
		     size_t size)
{
	unsigned int f = flight_of(model, number);

	if (!model_allows(model, disk, why, size))
		return false;
	for (uint32_t b = 0; b < BLOCKS; b++)
		end_in_block(model, b, f, disk);
	model->flight[f].going = false;
	return true;
}

static bool all_zero(const uint8_t *bytes)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, BLOCK_SIZE - 1) == 0;
}

static bool block_allowed(const struct model *model, const uint8_t *disk, uint32_t b)
{
	for (unsigned int i = 0; i < model->count[b]; i++)
		if (memcmp(disk + (size_t)b * BLOCK_SIZE, model->state[b][i].bytes, BLOCK_SIZE) ==
		    0)
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
			same += memcmp(found + line, model->state[b][i].bytes + line, 64) == 0;
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
			rules += hash_mix(model->state[b][i].hash + b);
	return rules;
}
