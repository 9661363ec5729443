/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * requests.c - requests of one thread, cut anywhere.
 *
 * Of a sequence only the last operation is explored: what comes before it is a shorter sequence,
 * which is explored by itself.
 */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "scenario.h"

#define RANDOM_OPS 12u
/* One image in so many is also written to. */
#define WRITE_TO 64u

static const struct op alphabet[] = {
	{ OP_WRITE, 0, BLOCK_SIZE },
	{ OP_WRITE, BLOCK_SIZE, BLOCK_SIZE },
	{ OP_WRITE, 0, 3 * BLOCK_SIZE },
	{ OP_WRITE, 1000, 2000 },
	{ OP_WRITE, BLOCK_SIZE / 2, BLOCK_SIZE },
	{ OP_WRITE, BLOCK_SIZE / 2, 2 * BLOCK_SIZE },
	{ OP_TRIM, 0, BLOCK_SIZE },
	{ OP_TRIM, BLOCK_SIZE / 2, 2 * BLOCK_SIZE },
	{ OP_TRIM, 0, DISK_SIZE },
	{ OP_ZERO, 0, BLOCK_SIZE },
	{ OP_ZERO, 100, 2 * BLOCK_SIZE },
	{ OP_ZERO_NO_HOLE, 0, BLOCK_SIZE },
	{ OP_ZERO_NO_HOLE, 100, 2 * BLOCK_SIZE },
};

#define LETTERS ((unsigned int)(sizeof(alphabet) / sizeof(alphabet[0])))

/* Open a copy for writing, overwrite a block, and look again: free pages must be free. */
static bool can_write(struct explorer *e, const uint8_t *disk, char *why, size_t size)
{
	struct op op = { OP_WRITE, (uint32_t)(e->image.hash / WRITE_TO % BLOCKS) * BLOCK_SIZE,
			 BLOCK_SIZE };
	static uint8_t after[DISK_SIZE];
	struct kmemblk_info info;
	struct kmemblk *handle;
	int rc;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	rc = kmemblk_open(e->scratch.path, 0, &handle);
	if (rc == 0) {
		rc = kmemblk_start(handle);
		if (rc == 0)
			rc = op_run(handle, &op, RANDOM_OPS + 1);
		kmemblk_close(handle);
	}
	if (rc == 0)
		rc = read_disk(e->scratch.path, after, &info);
	if (rc != 0) {
		snprintf(why, size, "written to: %.200s", kmemblk_error());
		return false;
	}
	memcpy(after + op.offset, disk + op.offset, op.count);
	if (memcmp(after, disk, DISK_SIZE) == 0)
		return check_clean(e->scratch.path, why, size);
	snprintf(why, size, "overwriting the block at %u has changed another", op.offset);
	return false;
}

bool judge_requests(struct explorer *e, void *model, char *why, size_t size)
{
	static uint8_t disk[DISK_SIZE];
	struct kmemblk_info info;

	if (read_disk(e->image.path, disk, &info) != 0) {
		snprintf(why, size, "%.200s", kmemblk_error());
		return false;
	}
	return model_allows(model, disk, why, size) && check_clean(e->image.path, why, size) &&
	       (e->image.hash % WRITE_TO != 0 || can_write(e, disk, why, size));
}

void replay_requests(struct explorer *e, const struct base *base, const struct op *ops,
		     unsigned int look_from_op)
{
	static struct model model;
	bool look = false;

	e->judge = judge_requests;
	e->opaque = &model;
	explorer_begin(e, base->bytes, base->size);
	model_begin(&model, base->disk);
	for (size_t i = 0; i < e->trace.count; i++) {
		const struct event *event = &e->trace.event[i];

		if (event->kind == EVENT_BEGIN) {
			look = look || event->op >= look_from_op;
			model_op_begins(&model, &ops[event->op], event->op);
		}
		e->rules = model_rules(&model);
		explorer_step(e, i, look);
		if (event->kind == EVENT_ACK) {
			model_op_acked(&model, event->op);
			e->rules = model_rules(&model);
			if (look)
				explorer_look(e, i);
		}
	}
}

static void describe(const struct base *base, const struct op *ops, unsigned int count, char *what,
		     size_t size)
{
	size_t at = (size_t)snprintf(what, size, "--base=%s --sequence='", base->name);
	char text[40];

	for (unsigned int i = 0; i < count; i++) {
		op_print(&ops[i], text, sizeof(text));
		at += (size_t)snprintf(what + at, size - at, "%s%s", i == 0 ? "" : " ", text);
	}
	snprintf(what + at, size - at, "'");
}

void explore_requests(struct explorer *e, const struct base *base, const struct op *ops,
		      unsigned int count, bool all)
{
	struct image *device = base_device(base);
	struct kmemblk *handle;
	char what[1024];

	describe(base, ops, count, what, sizeof(what));
	e->what = what;
	recorder_start(&e->trace, true);
	if (kmemblk_open(device->path, 0, &handle) != 0 || kmemblk_start(handle) != 0)
		fatal("%s", kmemblk_error());
	for (unsigned int i = 0; i < count; i++) {
		recorder_note(EVENT_BEGIN, i);
		if (op_run(handle, &ops[i], i) != 0)
			fatal("%s: %s", what, kmemblk_error());
		recorder_note(EVENT_ACK, i);
	}
	recorder_stop();
	kmemblk_close(handle);
	replay_requests(e, base, ops, all ? 0 : count - 1);
}

void explore_sequences(struct explorer *e, unsigned int length)
{
	unsigned int sequences = BASES;
	struct op ops[8];

	for (unsigned int i = 0; i < length; i++)
		sequences *= LETTERS;
	for (unsigned int number = 0; number < sequences && !explorer_over(e); number++) {
		unsigned int rest = number / BASES;

		if (!explorer_mine(e, number))
			continue;
		for (unsigned int i = 0; i < length; i++, rest /= LETTERS)
			ops[i] = alphabet[rest % LETTERS];
		explore_requests(e, base_get(number % BASES), ops, length, false);
	}
}

void explore_random(struct explorer *e, unsigned int sequences)
{
	struct op ops[RANDOM_OPS];

	for (unsigned int n = 0; n < sequences && !explorer_over(e); n++) {
		unsigned int count = 4 + (unsigned int)explorer_random(e, RANDOM_OPS - 3);

		for (unsigned int i = 0; i < count; i++) {
			struct op *op = &ops[i];

			op->kind = (enum op_kind)explorer_random(e, OP_KINDS);
			op->offset = (uint32_t)explorer_random(e, DISK_SIZE);
			op->count = 1 + (uint32_t)explorer_random(e, DISK_SIZE - op->offset);
			if (explorer_random(e, 2) == 0) {
				op->offset -= op->offset % BLOCK_SIZE;
				op->count = (op->count / BLOCK_SIZE + 1) * BLOCK_SIZE;
				if (op->count > DISK_SIZE - op->offset)
					op->count = DISK_SIZE - op->offset;
			}
		}
		explore_requests(e, base_get((enum base_kind)explorer_random(e, BASES)), ops, count,
				 true);
	}
}
