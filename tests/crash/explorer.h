/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explorer.h - build the images that a power failure could leave, and have each judged.
 *
 * A scenario (requests.c, whole.c, threads.c) runs the library once, and replays what was recorded:
 * it gives the explorer each event, and tells it to look wherever the images could differ or the
 * rules for them change.
 */
#ifndef EXPLORER_H
#define EXPLORER_H

#include <time.h>

#include "image.h"
#include "media.h"

struct explorer;

/* True if the image is allowed; else `why` says what was found. */
typedef bool (*judge_fn)(struct explorer *e, void *opaque, char *why, size_t size);

struct explorer {
	/* The run. */
	struct mutant mutant;
	bool first_only; /* stop at the first violation */
	time_t until;
	unsigned int shard, shards;
	uint64_t random; /* state */
	uint64_t explored, violations;
	struct seen distinct, judged;
	/* The scenario. */
	struct trace trace;
	struct media media;
	struct image image;   /* what is judged */
	struct image scratch; /* for judges: a copy to write to */
	judge_fn judge;
	void *opaque;
	uint64_t rules;	  /* hash of what is allowed now: equal images are judged once for each */
	const char *what; /* in words */
};

/* Begin a replay from the bytes that were durable before the trace. */
void explorer_begin(struct explorer *e, const uint8_t *bytes, size_t size);

/* Build and judge the images possible now; `event` is for messages. */
void explorer_look(struct explorer *e, size_t event);

/* Let the media take an event, and with `look` look around it. */
void explorer_step(struct explorer *e, size_t event, bool look);

/* True when time is up, or a first violation was enough. */
bool explorer_over(const struct explorer *e);

/* True if the next scenario is this shard's. */
bool explorer_mine(struct explorer *e, unsigned int number);

uint64_t explorer_random(struct explorer *e, uint64_t limit);

#endif /* EXPLORER_H */
