/* SPDX-License-Identifier: BSD-3-Clause */
/* scenario.h - the kinds of runs that are explored, and what they share. */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "explorer.h"
#include "model.h"

/* A device to begin from, as its bytes. */
struct base {
	const char *name;
	uint8_t bytes[MEDIA_LINES * LINE_SIZE];
	size_t size;
	uint8_t disk[DISK_SIZE];
};

enum base_kind {
	BASE_TIGHT_EMPTY, /* one spare page: pages are reused at once */
	BASE_TIGHT_FULL,  /* every block has its page */
	BASE_ROOMY_FULL,  /* no request waits for another's pages or promises */
	BASES
};

/* Make all bases.  Before anything else. */
void bases_make(void);
const struct base *base_get(enum base_kind kind);
/* NULL if there is none of that name. */
const struct base *base_by_name(const char *name);

/* The recorded device, filled from the base; its path. */
struct image *base_device(const struct base *base);

/* Open the image for reading only and read its disk.  0 or -errno with message. */
int read_disk(const char *path, uint8_t *disk, struct kmemblk_info *info);
/* What check finds, in `why`; true if nothing. */
bool check_clean(const char *path, char *why, size_t size);

/* requests.c: explore one sequence; its last operation only, unless `all`. */
void explore_requests(struct explorer *e, const struct base *base, const struct op *ops,
		      unsigned int count, bool all);
/* Every sequence of `length` operations of the alphabet, on every base. */
void explore_sequences(struct explorer *e, unsigned int length);
/* Sequences by chance, of up to a dozen operations on any bytes. */
void explore_random(struct explorer *e, unsigned int sequences);
/* The rules of a request in flight, as a judge; opaque is the model. */
bool judge_requests(struct explorer *e, void *model, char *why, size_t size);
/* Replay a recorded trace of these operations, looking from the begin of one of them on. */
void replay_requests(struct explorer *e, const struct base *base, const struct op *ops,
		     unsigned int look_from_op);

/* whole.c: format and repair. */
void explore_formats(struct explorer *e);
void explore_repairs(struct explorer *e);

/* threads.c: two threads, the first stopped at each of its steps while the second runs. */
void explore_threads(struct explorer *e);

#endif /* SCENARIO_H */
