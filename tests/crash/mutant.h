/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutant.h - the library with one ordering rule broken.
 *
 * A mutant changes the replay of a trace: what the media would have been told by a library in which
 * that one flush or drain is missing or late.  Its name is KIND:ORDER-POINT, as in
 * "no-drain:PM_WRITE_DATA".
 */
#ifndef MUTANT_H
#define MUTANT_H

#include <stdbool.h>
#include <stdio.h>

#include "recorder.h"

enum mutant_kind {
	MUTANT_NONE,
	MUTANT_NO_FLUSH,
	MUTANT_NO_DRAIN,
	MUTANT_LATE_DRAIN,  /* the drain and what it is to come before have changed places */
	MUTANT_TRUST_FOUND, /* what another thread stored is taken for durable: no flush */
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

/* Name all that can be told from the library, one a line. */
void mutant_list(FILE *to);

/* Change a trace as the mutant has it, where dropping events does not do. */
void mutant_reorder(const struct mutant *mutant, struct trace *trace);

#endif /* MUTANT_H */
