/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scenario.h - the kinds of runs that are explored, and what they share.
 *
 * A scenario is a line of text, from which it can be had again:
 *
 *     requests BASE OP... | OP...         of one thread; explored from the bar on
 *     threads BASE OP OP [OP] | STEP...   of one thread each; a step is THREAD:EVENTS or THREAD
 *     restart BASE [N] OP OP...           the first is killed when it has stored N entries, or one, and the
 *                                         device opened again; explored from there on
 *     volumes BASE CALL... | CALL...      of one thread, calls that make and change volumes among
 *                                         them; explored from the bar on
 *     volume-threads BASE CALL CALL | STEP...
 *     volume-restart BASE N CALL CALL...
 *     format BASE sparse|thick holes|stores
 *     repair BASE DAMAGE
 *     grow BASE N STATE                   by N pages; as found: new, used, no-copy, copied, cleared or cut
 */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "explorer.h"
#include "model.h"
#include "world.h"

#define SCENARIO_OPS  16u
#define SCENARIO_SIZE 512u

/* A device to begin from, as its bytes. */
struct base {
	const char *name;
	unsigned int pages, spare;
	unsigned int filled; /* blocks, from the first on, that have a page */
	unsigned int bad;    /* pages out of use, as after media errors */
	const char *setup;   /* calls that make its volumes; NULL: it has the disk of its format */
	uint64_t at[BLOCKS]; /* where on the disk its blocks are; all 0: they are the disk */
	bool holes;	     /* pages that are all zeroes have no storage */
	struct terms terms;
	uint8_t bytes[MEDIA_LINES * LINE_SIZE];
	size_t size;
	uint8_t disk[DISK_SIZE];
	struct world world;
};

/* Make all bases.  Before anything else. */
void bases_make(void);
/* NULL if there is none of that name. */
const struct base *base_get(const char *name);

/* The recorded device, filled from the base. */
struct image *base_device(const struct base *base);
/* The same as it is now, whatever has been done to it. */
struct image *base_device_now(const struct base *base);
/* The same, opened and being recorded. */
struct kmemblk *base_open(const struct base *base, struct trace *trace);
/* Again, with all that has been done to it: recorded behind what is in the trace. */
struct kmemblk *base_open_again(const struct base *base);
/* Close it, after the recording: what it had counted must be so. */
void base_close(const struct base *base, struct kmemblk *handle);
/* What a handle had counted before it was closed against what is there; false, and `why`. */
bool counts_agree(const char *path, const struct kmemblk_info *counted, char *why, size_t size);

/* Open the image for reading only and read its disk.  0 or -errno with message. */
int read_disk(const char *path, uint8_t *disk, struct kmemblk_info *info);
/* What check finds, in `why`; true if nothing. */
bool check_clean(const char *path, char *why, size_t size);

/* fixed.c: what is to be the same in each run begins here. */
void fixed_begin(uint64_t seed);

/* scenario.c: explore the scenario of this text. */
void scenario_run(struct explorer *e, const char *text);

/* Requests of a text, up to its bar; *from is how many stand before a bar between them. */
struct requests {
	const struct base *base;
	struct op ops[SCENARIO_OPS];
	unsigned int count, from;
	unsigned int kill; /* restart: entries that the first stores before it is killed */
	const uint8_t (*after)[DISK_SIZE]; /* what could be read after each that failed */
};

/* requests.c, threads.c, volumes.c, whole.c and growths.c: `words` is what follows the kind. */
void requests_run(struct explorer *e, char *words);
void restart_run(struct explorer *e, char *words);
void volumes_run(struct explorer *e, char *words);
void volume_threads_run(struct explorer *e, char *words);
void volume_restart_run(struct explorer *e, char *words);
void threads_run(struct explorer *e, char *words);
void format_run(struct explorer *e, char *words);
void repair_run(struct explorer *e, char *words);
void grow_run(struct explorer *e, char *words);

/* requests.c: replay a recorded trace of these requests, looking from the begin of `from` on. */
void requests_replay(struct explorer *e, const struct requests *requests);

/* alphabets.c: the scenarios there are, by groups. */
struct group {
	const char *name;
	double share;	    /* of the time left */
	unsigned int total; /* 0: as many as time allows */
	void (*print)(uint64_t number, uint64_t seed, char *text, size_t size);
	enum place place;
	bool light;
};

#define GROUPS 27u

const struct group *group_get(unsigned int i);

#endif /* SCENARIO_H */
