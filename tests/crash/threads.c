/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * threads.c - two or three threads, a request each, interleaved as the steps say.
 *
 * Among these: one has changed an entry and not drained, and another finds it done and is
 * acknowledged, before the first goes on or after.
 */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "play.h"
#include "scenario.h"

struct run {
	struct requests requests; /* one a thread */
	struct kmemblk *handle;
};

static int run_one(void *opaque, unsigned int number)
{
	struct run *run = opaque;

	if (op_run(run->handle, &run->requests.ops[number], number) != 0)
		fatal("%s", kmemblk_error());
	return 0;
}

/* "BASE OP OP [OP] | STEP..." */
static void parse(char *words, struct requests *requests, struct play *play)
{
	char *save, *word = strtok_r(words, " ", &save);
	bool steps = false;

	requests->base = word == NULL ? NULL : base_get(word);
	if (requests->base == NULL)
		fatal("no such base");
	while ((word = strtok_r(NULL, " ", &save)) != NULL) {
		if (strcmp(word, "|") == 0)
			steps = true;
		else if (steps)
			play_parse_step(play, word, requests->count);
		else if (requests->count == DRIVEN_THREADS ||
			 !op_parse(word, &requests->ops[requests->count++]))
			fatal("no such request, or too many: %s", word);
	}
}

void threads_run(struct explorer *e, char *words)
{
	struct run run = { .handle = NULL };
	struct play play = { .run = run_one, .opaque = &run };
	bool used;

	parse(words, &run.requests, &play);
	run.handle = base_open(run.requests.base, &e->trace);
	used = play_run(&play, run.requests.count);
	recorder_stop();
	base_close(run.requests.base, run.handle);
	if (used)
		requests_replay(e, &run.requests);
}
