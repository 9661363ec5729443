/* SPDX-License-Identifier: BSD-3-Clause */
/* play.c - see play.h. */
#include "config.h"

#include <pthread.h>
#include <stdio.h>

#include "fatal.h"
#include "play.h"
#include "recorder.h"
#include "stage.h"

/* More turns than any thread needs to end: they wait for each other. */
#define TURNS_MAX 1000u

struct part {
	const struct play *play;
	unsigned int number;
};

static void *run_one(void *opaque)
{
	const struct part *part = opaque;
	int rc;

	recorder_thread = part->number;
	stage_enter(part->number);
	recorder_note(EVENT_BEGIN, part->number);
	rc = part->play->run(part->play->opaque, part->number);
	recorder_note(rc == 0 ? EVENT_ACK : EVENT_FAIL, part->number);
	stage_leave();
	return NULL;
}

/*
 * Go through the steps.  Wherever nobody stands in a section, all that has been retired is freed: the next to
 * run may get it.
 */
static bool go(const struct play *play)
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

void play_parse_step(struct play *play, const char *word, unsigned int threads)
{
	struct step *step = &play->steps[play->step_count];
	int fields;

	if (play->step_count++ == PLAY_STEPS_MAX)
		fatal("too many steps");
	fields = sscanf(word, "%u:%u", &step->thread, &step->events);
	if (fields == 1)
		step->events = STAGE_TO_THE_END;
	if (fields < 1 || step->thread >= threads || step->events == 0)
		fatal("no such step: %s", word);
}

bool play_run(struct play *play, unsigned int count)
{
	pthread_t threads[DRIVEN_THREADS];
	struct part parts[DRIVEN_THREADS];
	bool used;

	stage_clear();
	for (unsigned int i = 0; i < count; i++) {
		parts[i] = (struct part){ play, i };
		if (pthread_create(&threads[i], NULL, run_one, &parts[i]) != 0)
			fatal("pthread_create");
	}
	used = go(play);
	for (unsigned int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return used;
}
