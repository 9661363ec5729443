/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * world.h - the volumes of a device, and calls that make, change, write and trim them.
 *
 * Of each volume the model has its name, its size, and what stands in a few places of it; everywhere else it
 * must read as zeroes.  What stands in a place is the number of the call that wrote it, 0 for zeroes; the
 * bytes follow from that and the place, so nothing else can be taken for them.
 */
#ifndef WORLD_H
#define WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmemblk.h"

#define WORLD_VOLUMES 6u
#define WORLD_PLACES  5u
#define WORLD_NAME    8u

/* The blocks that are written: leaves, and levels of the map, begin between them. */
extern const uint64_t world_places[WORLD_PLACES];

struct world_volume {
	char name[WORLD_NAME];
	uint64_t blocks;
	uint64_t sequence; /* of a snapshot, VOLUME@SNAPSHOT: its age among those of its volume */
	uint64_t thin;	   /* 1: it is */
	uint64_t token[WORLD_PLACES];
};

/* In the order of their names, all else zero: equal ones have equal bytes. */
struct world {
	uint64_t count;
	struct world_volume volume[WORLD_VOLUMES];
};

enum call_kind {
	CALL_CREATE,   /* create:NAME:BLOCKS */
	CALL_PREALLOC, /* prealloc:NAME:BLOCKS */
	CALL_DELETE,   /* delete:NAME */
	CALL_RENAME,   /* rename:NAME:NAME */
	CALL_RESIZE,   /* resize:NAME:BLOCKS, with force */
	CALL_WRITE,    /* write:NAME:BLOCK */
	CALL_TRIM,     /* trim:NAME:BLOCK */
	CALL_OPEN,     /* open:NAME: somebody has it open from then on */
	CALL_SNAPSHOT, /* snapshot:NAME@NAME */
	CALL_SNAPTHIN, /* snapthin:NAME@NAME, of a volume that becomes thin if there are too few pages */
	CALL_CLONE,    /* clone:NAME@NAME:NAME */
	CALL_ROLLBACK, /* rollback:NAME@NAME, to the youngest */
	CALL_THIN,     /* thin:NAME */
	CALL_NOT_THIN, /* notthin:NAME */
	CALL_KINDS
};

struct call {
	enum call_kind kind;
	char name[WORLD_NAME], to[WORLD_NAME];
	char also
		[WORLD_NAME]; /* of a request: what the volume that it has open may be named by then */
	uint64_t n;
	bool thins; /* of snapthin: the volume is thin then; see call_note() */
};

/* False if it is not such a text. */
bool call_parse(const char *text, struct call *call);

/* Do it, as number `number`; what it returned. */
int call_run(struct kmemblk *h, const struct call *call, unsigned int number);

/* The same of a request, in a volume that is open. */
int call_run_in(struct kmemblk_volume *v, const struct call *call, unsigned int number);

/* True if it changes which volumes there are, and is no request. */
bool call_is_change(const struct call *call);

/* It has been done: note of it what depends on the pages there were. */
void call_note(struct kmemblk *h, struct call *call);

/* What becomes of the world; false, and nothing, if it must be refused whatever else there is. */
bool call_apply(const struct call *call, unsigned int number, struct world *world);

/* The same of its first half, after which power may be lost; false, and nothing, if it has no halves. */
bool call_apply_half(const struct call *call, struct world *world);

/* True if nothing of it may be refused for want of pages. */
bool call_needs_no_page(const struct call *call);

/* Find what a started device holds.  False, and `why`, if that is nothing that could have been written. */
bool world_read(struct kmemblk *h, struct world *world, char *why, size_t size);

bool world_equal(const struct world *a, const struct world *b);
uint64_t world_hash(const struct world *world);
void world_print(const struct world *world, char *text, size_t size);

#endif /* WORLD_H */
