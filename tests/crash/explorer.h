/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explorer.h - build the images that a power failure could leave, and have each judged.
 *
 * A scenario (requests.c, whole.c, threads.c) runs the library once, and replays what was recorded:
 * it gives the explorer each event, and tells it to look wherever the images could differ or the
 * rules for them change.  Images are numbered within their scenario, from 1, and the same number is
 * the same image in each run.
 */
#ifndef EXPLORER_H
#define EXPLORER_H

#include "image.h"
#include "media.h"

struct explorer;

/* True if the image is allowed; else `why` says what was found. */
typedef bool (*judge_fn)(struct explorer *e, void *opaque, char *why, size_t size);

/* What has been seen so far, in all scenarios. */
struct tally {
	uint64_t explored, violations;
	struct seen distinct, judged;
	bool first_only; /* stop at the first violation */
	double until;	 /* as explorer_clock() */
};

struct explorer {
	struct tally *tally;
	const struct explorer *outer; /* this one explores what became of one of its images */
	struct mutant mutant;
	uint64_t seed;
	/* The scenario. */
	const char *what; /* as --scenario takes it */
	bool light;	  /* fewer images where many lines are pending */
	uint64_t random;  /* state */
	uint64_t number;  /* of images so far */
	uint64_t only;	  /* judge only this one; 0: each */
	uint64_t only_inner;
	const char *save; /* NULL, or the file that the one image goes to */
	struct trace trace;
	struct media media;
	struct image image;   /* what is judged */
	struct image scratch; /* for judges: a copy to write to */
	judge_fn judge;
	void *opaque;
	uint64_t rules; /* hash of what is allowed now: equal images are judged once for each */
};

/* Begin a replay from the bytes that were durable before the trace. */
void explorer_begin(struct explorer *e, const uint8_t *bytes, size_t size);

/* Build and judge the images possible now; `event` is for messages. */
void explorer_look(struct explorer *e, size_t event);

/* Let the media take an event, and with `look` look around it. */
void explorer_step(struct explorer *e, size_t event, bool look);

/* Tell of a violation, at an event. */
void explorer_tell(struct explorer *e, size_t event, const char *why);

/* True when time is up, or a first violation was enough. */
bool explorer_over(const struct explorer *e);

/* Seconds since some time in the past. */
double explorer_clock(void);

uint64_t explorer_random(struct explorer *e, uint64_t limit);

#endif /* EXPLORER_H */
