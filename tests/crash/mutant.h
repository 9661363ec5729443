/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutant.h - the library with one ordering rule broken.
 *
 * Most mutants change the replay of a trace: what the media would have been told by a library in
 * which that one flush or drain is missing or late.  The others (mutate.h) change what the library
 * does while it is recorded.  A name is KIND:ORDER-POINT, as in "no-drain:PM_WRITE_DATA", or only the
 * kind where there is no order point.
 */
#ifndef MUTANT_H
#define MUTANT_H

#include <stdbool.h>
#include <stdio.h>

#include "recorder.h"

enum mutant_kind {
	MUTANT_NONE,
	/* In the replay. */
	MUTANT_NO_FLUSH,
	MUTANT_NO_DRAIN,
	MUTANT_LATE_DRAIN,  /* the drain and what it is to come before have changed places */
	MUTANT_SHORT_FLUSH, /* the last line is left out */
	MUTANT_FIRST,	    /* what is flushed there comes before the copy at a new end */
	MUTANT_LEFT_OUT,    /* it is not stored */
	MUTANT_TRUST_FOUND, /* what another thread stored is taken for durable: no flush */
	/* In the run. */
	MUTANT_TRUST_FOUND_PART, /* a part to zero of a block found without a page: no flush */
	MUTANT_PUBLISH_FIRST,	 /* contents after the entry that names them */
	MUTANT_EARLY_RETIRE,	 /* the page can be reused before the entry is durable */
	MUTANT_EARLY_LEAF,	 /* a table is used before the way to it is durable */
	MUTANT_COPY_LAST,	 /* the copy of the directory is cleared after its entry */
	MUTANT_NO_CUT,	     /* what is past the end of what was shrunk stays, and a volume grows */
	MUTANT_NO_CUT_FOUND, /* the same of what a crash has left */
	MUTANT_NO_MAP_LOCK,  /* a record is replaced without the map's mutex */
	MUTANT_NO_GRACE,     /* a page is reused while sections are open that may know it */
	/* In the run, and of no order point: what becomes of free pages. */
	MUTANT_PUNCH_NEEDED,	 /* storage that reservations need is taken away */
	MUTANT_PUNCH_UNCOUNTED,	 /* what has lost its storage counts as having it */
	MUTANT_PUNCH_RETIRED,	 /* a page loses its storage before its grace period */
	MUTANT_PUNCH_TAKEN,	 /* a page that a writer or a block has */
	MUTANT_LEND_NEEDED,	 /* a page of the spare is lent */
	MUTANT_LEND_RETIRED,	 /* a page is lent before its grace period */
	MUTANT_LEND_TWICE,	 /* a page that is lent can be taken by writers */
	MUTANT_RETURN_TWICE,	 /* a page is taken back that is not lent any more */
	MUTANT_RETURN_UNCOUNTED, /* what is given back does not count as having storage */
	MUTANT_NO_STORAGE,	 /* an absent page is given out as it is */
	/* The same: what volumes and snapshots share. */
	MUTANT_WRITE_SHARED,	/* a shared table is changed */
	MUTANT_RETIRE_SHARED,	/* a page that the predecessor names is retired */
	MUTANT_LEAVE_OWN,	/* a page that it does not name is not */
	MUTANT_NO_GATE,		/* the gate stays open */
	MUTANT_NO_GATE_GRACE,	/* who has seen it open is not waited for */
	MUTANT_SAME_EPOCH,	/* who knew what is owned goes on by that */
	MUTANT_OLD_PREDECESSOR, /* writers go by the predecessor that was */
	MUTANT_NO_GUARANTEE,	/* nothing is reserved for what is shared */
	MUTANT_NO_SWEEP_GRACE,	/* the sweep begins beside who does not mark yet */
	MUTANT_NO_SWEEP,	/* the sweep marks nothing */
	MUTANT_NO_MARK,		/* writers mark nothing */
	MUTANT_THIN_LAST,	/* a snapshot is named before its volume is thin */
	MUTANT_EARLY_ROOM,	/* what a volume has reserved is given back before it is thin */
	MUTANT_LATE_ROOM,	/* what it must reserve is reserved when it is thin no more */
};

struct mutant {
	enum mutant_kind kind;
	enum pm_order order;
};

static inline bool mutant_is(const struct mutant *mutant, enum mutant_kind kind,
			     enum pm_order order)
{
	return mutant->kind == kind && mutant->order == order;
}

const char *mutant_order_name(enum pm_order order);

/* False if there is no mutant of that name. */
bool mutant_parse(const char *name, struct mutant *mutant);
/* Empty if none is set. */
void mutant_print(const struct mutant *mutant, char *name, size_t size);

/* The kinds of scenarios; and the one in which a mutant with an order point can be told. */
enum place {
	PLACE_REQUESTS,
	PLACE_THREADS,
	PLACE_MAKERS,  /* threads, of which some make tables */
	PLACE_RESTART, /* with an open in the middle */
	PLACE_WHOLE,   /* format and repair */
	PLACE_GROWTH,  /* of the device */
	PLACE_VOLUMES, /* calls that make and change volumes */
	PLACE_VOLUME_THREADS,
	PLACE_VOLUME_RESTART,
};
enum place mutant_place(const struct mutant *mutant);

/* Name all that have an order point and can be told from the library, one a line. */
void mutant_list(FILE *to);

/* Change a trace as the mutant has it, where leaving out events does not do. */
void mutant_reorder(const struct mutant *mutant, struct trace *trace);

#endif /* MUTANT_H */
