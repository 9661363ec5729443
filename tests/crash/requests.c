/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * requests.c - requests of one thread, cut anywhere.
 *
 * A request that finds no room for a new block is refused.  Whatever it has done by then is
 * durable: what can be read after it is what each image must show from then on.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fatal.h"
#include "scenario.h"
#include "stage.h"

/* Of a light look one image in so many is also written to; else each. */
#define WRITE_TO 16u

/* Open a copy for writing, overwrite a block, and look again: free pages must be free. */
static bool can_write(struct explorer *e, const uint8_t *disk, char *why, size_t size)
{
	struct op op = { OP_WRITE, (uint32_t)(e->image.hash / WRITE_TO % BLOCKS) * BLOCK_SIZE,
			 BLOCK_SIZE };
	static uint8_t after[DISK_SIZE];
	struct kmemblk_info info, counted;
	struct kmemblk *handle;
	int rc;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	rc = kmemblk_open(e->scratch.path, 0, &handle);
	if (rc == 0) {
		rc = kmemblk_start(handle);
		if (rc == 0)
			rc = op_run(handle, &op, SCENARIO_OPS + 1);
		kmemblk_get_info(handle, &counted);
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
		return counts_agree(e->scratch.path, &counted, why, size) &&
		       check_clean(e->scratch.path, why, size);
	snprintf(why, size, "overwriting the block at %u has changed another", op.offset);
	return false;
}

static bool judge_requests(struct explorer *e, void *model, char *why, size_t size)
{
	static uint8_t disk[DISK_SIZE];
	struct kmemblk_info info;

	if (read_disk(e->image.path, disk, &info) != 0) {
		snprintf(why, size, "%.200s", kmemblk_error());
		return false;
	}
	return model_allows(model, disk, why, size) && check_clean(e->image.path, why, size) &&
	       ((e->light && e->image.hash % WRITE_TO != 0) || can_write(e, disk, why, size));
}

/* A request of the trace is over. */
static void over(struct explorer *e, struct model *model, const struct requests *requests, size_t i)
{
	const struct event *event = &e->trace.event[i];
	char why[256];

	if (event->kind == EVENT_ACK)
		model_op_acked(model, event->op);
	else if (!model_op_failed(model, event->op, requests->after[event->op], why, sizeof(why)))
		explorer_tell(e, i, why);
}

void requests_replay(struct explorer *e, const struct requests *requests)
{
	static struct model model;
	bool look = false;

	e->judge = judge_requests;
	e->opaque = &model;
	explorer_begin(e, requests->base->bytes, requests->base->size);
	model_begin(&model, requests->base->disk);
	for (size_t i = 0; i < e->trace.count; i++) {
		const struct event *event = &e->trace.event[i];

		if (event->kind == EVENT_BEGIN) {
			look = look || event->op >= requests->from;
			model_op_begins(&model, &requests->ops[event->op], event->op);
		}
		e->rules = model_rules(&model);
		explorer_step(e, i, look);
		if (event->kind == EVENT_ACK || event->kind == EVENT_FAIL) {
			over(e, &model, requests, i);
			e->rules = model_rules(&model);
			if (look)
				explorer_look(e, i);
		}
	}
}

/* The request has failed: may it, so?  What can be read now goes to `after`. */
static void refused(const struct base *base, struct kmemblk *handle, const struct op *op, int rc,
		    uint8_t *after)
{
	char message[256];

	snprintf(message, sizeof(message), "%s", kmemblk_error());
	if (rc != -ENOSPC || !op_may_be_refused(op))
		fatal("%s", message);
	if (ops_read(handle, after) != 0)
		fatal("%s", kmemblk_error());
	if (!ops_find_hole(handle, op))
		fatal("refused, though each of its blocks has a page: %s", message);
	if (!base->terms.limited && base->bad == 0 && ops_lent() == 0)
		fatal("refused, though there is a page for each block: %s", message);
}

/* "BASE OP... | OP...", or without a bar. */
static void parse(char *words, struct requests *requests)
{
	char *save, *word = strtok_r(words, " ", &save);

	requests->base = word == NULL ? NULL : base_get(word);
	if (requests->base == NULL)
		fatal("no such base");
	while ((word = strtok_r(NULL, " ", &save)) != NULL) {
		if (strcmp(word, "|") == 0)
			requests->from = requests->count;
		else if (sscanf(word, "%u", &requests->kill) == 1)
			continue;
		else if (requests->count == SCENARIO_OPS ||
			 !op_parse(word, &requests->ops[requests->count++]))
			fatal("no such request, or too many: %s", word);
	}
}

/* Requests from `first` on; each is answered before the next begins. */
static void run_recorded(const struct requests *requests, struct kmemblk *handle,
			 unsigned int first, uint8_t (*after)[DISK_SIZE])
{
	for (unsigned int i = first; i < requests->count; i++) {
		int rc;

		recorder_note(EVENT_BEGIN, i);
		rc = op_run(handle, &requests->ops[i], i);
		recorder_note(rc == 0 ? EVENT_ACK : EVENT_FAIL, i);
		if (rc != 0)
			refused(requests->base, handle, &requests->ops[i], rc, after[i]);
		stage_reclaim();
	}
	recorder_stop();
	base_close(requests->base, handle);
}

void requests_run(struct explorer *e, char *words)
{
	static uint8_t after[SCENARIO_OPS][DISK_SIZE];
	struct requests requests = { .after = after };

	parse(words, &requests);
	recorder_thread = 0;
	run_recorded(&requests, base_open(requests.base, &e->trace), 0, after);
	requests_replay(e, &requests);
}

/* What is found by the second process is not durable, and it must not rely on it. */
void restart_run(struct explorer *e, char *words)
{
	static uint8_t after[SCENARIO_OPS][DISK_SIZE];
	struct requests requests = { .after = after, .from = 1, .kill = 1 };
	struct kmemblk *handle;

	parse(words, &requests);
	recorder_thread = 0;
	handle = base_open(requests.base, &e->trace);
	recorder_note(EVENT_BEGIN, 0);
	recorder_kill(requests.kill);
	/* What the dead find has not come about, and what they answer is nothing. */
	if (op_run(handle, &requests.ops[0], 0) != 0 && !recorder_has_killed())
		fatal("%s", kmemblk_error());
	/* Its threads end with it. */
	stage_watch(NULL);
	stage_free_reclaimer();
	kmemblk_close(handle);
	stage_hold_reclaimer();
	run_recorded(&requests, base_open_again(requests.base), 1, after);
	requests_replay(e, &requests);
}
