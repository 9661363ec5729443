/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * threads.c - two or three threads, a request each, interleaved as the steps say.
 *
 * Among these: one has changed an entry and not drained, and another finds it done and is
 * acknowledged, before the first goes on or after.
 */
#include "config.h"

#include <pthread.h>
#include <string.h>

#include "fatal.h"
#include "scenario.h"
#include "stage.h"

#define STEPS_MAX 8u
/* More turns than any thread needs to end: they wait for each other. */
#define TURNS_MAX 1000u

struct step {
	unsigned int thread, events;
};

struct play {
	struct requests requests; /* one a thread */
	struct step steps[STEPS_MAX];
	unsigned int step_count;
};

struct run {
	struct kmemblk *handle;
	const struct op *op;
	unsigned int number;
};

static void *run_one(void *opaque)
{
	struct run *run = opaque;

	recorder_thread = run->number;
	stage_enter(run->number);
	recorder_note(EVENT_BEGIN, run->number);
	if (op_run(run->handle, run->op, run->number) != 0)
		fatal("%s", kmemblk_error());
	recorder_note(EVENT_ACK, run->number);
	stage_leave();
	return NULL;
}

/*
 * Go through the steps.  False if a thread ended sooner than its step says: there are the same steps
 * with a smaller number.  Wherever nobody stands in a section, all that has been retired is freed:
 * the next to run may get it.
 */
static bool go(struct play *play)
{
	bool used = true, all = false;
	unsigned int turns = 0;

	for (unsigned int i = 0; i < play->step_count; i++) {
		used = stage_run(play->steps[i].thread, play->steps[i].events) && used;
		stage_reclaim();
	}
	/* Who waited for another has yet to end, and may wait again. */
	while (!all) {
		all = true;
		for (unsigned int i = 0; i < play->step_count; i++)
			if (!stage_has_left(play->steps[i].thread)) {
				stage_run(play->steps[i].thread, STAGE_TO_THE_END);
				stage_reclaim();
				all = false;
			}
		if (turns++ == TURNS_MAX)
			fatal("threads wait for each other");
	}
	return used;
}

static void parse_step(struct play *play, const char *word)
{
	struct step *step = &play->steps[play->step_count++];
	int fields;

	if (play->step_count > STEPS_MAX)
		fatal("too many steps");
	fields = sscanf(word, "%u:%u", &step->thread, &step->events);
	if (fields == 1)
		step->events = STAGE_TO_THE_END;
	if (fields < 1 || step->thread >= play->requests.count || step->events == 0)
		fatal("no such step: %s", word);
}

/* "BASE OP OP [OP] | STEP..." */
static void parse(char *words, struct play *play)
{
	struct requests *requests = &play->requests;
	char *save, *word = strtok_r(words, " ", &save);
	bool steps = false;

	requests->base = word == NULL ? NULL : base_get(word);
	if (requests->base == NULL)
		fatal("no such base");
	while ((word = strtok_r(NULL, " ", &save)) != NULL) {
		if (strcmp(word, "|") == 0)
			steps = true;
		else if (steps)
			parse_step(play, word);
		else if (requests->count == DRIVEN_THREADS ||
			 !op_parse(word, &requests->ops[requests->count++]))
			fatal("no such request, or too many: %s", word);
	}
}

void threads_run(struct explorer *e, char *words)
{
	struct play play = { .step_count = 0 };
	struct run runs[DRIVEN_THREADS];
	pthread_t threads[DRIVEN_THREADS];
	struct kmemblk *handle;
	bool used;

	parse(words, &play);
	handle = base_open(play.requests.base, &e->trace);
	stage_clear();
	for (unsigned int i = 0; i < play.requests.count; i++) {
		runs[i] = (struct run){ handle, &play.requests.ops[i], i };
		if (pthread_create(&threads[i], NULL, run_one, &runs[i]) != 0)
			fatal("pthread_create");
	}
	used = go(&play);
	for (unsigned int i = 0; i < play.requests.count; i++)
		pthread_join(threads[i], NULL);
	recorder_stop();
	kmemblk_close(handle);
	if (used)
		requests_replay(e, &play.requests);
}
