/* SPDX-License-Identifier: BSD-3-Clause */
/* play.h - threads that go on in turn, as steps say.  See stage.h. */
#ifndef PLAY_H
#define PLAY_H

#include <stdbool.h>

#define PLAY_STEPS_MAX 8u

struct step {
	unsigned int thread, events;
};

struct play {
	struct step steps[PLAY_STEPS_MAX];
	unsigned int step_count;
	/* What each thread does; 0, or -errno: it was refused. */
	int (*run)(void *opaque, unsigned int number);
	void *opaque;
};

/* A step of a scenario's text, THREAD:EVENTS or THREAD, of so many threads. */
void play_parse_step(struct play *play, const char *word, unsigned int threads);

/*
 * Run the threads, and note when each begins and ends.  False if a thread ended sooner than its step says: there
 * are the same steps with a smaller number.
 */
bool play_run(struct play *play, unsigned int threads);

#endif /* PLAY_H */
