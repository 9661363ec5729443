/* SPDX-License-Identifier: BSD-3-Clause */
/* mutant.c - see mutant.h. */
#include "config.h"

#include <string.h>

#include "mutant.h"

static const char *const kinds[] = {
	[MUTANT_NO_FLUSH] = "no-flush",
	[MUTANT_NO_DRAIN] = "no-drain",
	[MUTANT_LATE_DRAIN] = "late-drain",
	[MUTANT_SHORT_FLUSH] = "short-flush",
	[MUTANT_TRUST_FOUND] = "trust-found",
	[MUTANT_TRUST_FOUND_PART] = "trust-found-by-part",
	[MUTANT_PUBLISH_FIRST] = "publish-first",
	[MUTANT_EARLY_RETIRE] = "early-retire",
	[MUTANT_EARLY_LOWER] = "early-lower",
	[MUTANT_NO_GRACE] = "no-grace",
	[MUTANT_PUNCH_NEEDED] = "punch-needed",
	[MUTANT_PUNCH_UNCOUNTED] = "punch-uncounted",
	[MUTANT_PUNCH_RETIRED] = "punch-retired",
	[MUTANT_PUNCH_TAKEN] = "punch-taken",
	[MUTANT_LEND_NEEDED] = "lend-needed",
	[MUTANT_LEND_RETIRED] = "lend-retired",
	[MUTANT_LEND_TWICE] = "lend-twice",
	[MUTANT_RETURN_TWICE] = "return-twice",
	[MUTANT_RETURN_UNCOUNTED] = "return-uncounted",
	[MUTANT_NO_STORAGE] = "no-storage",
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const orders[] = {
	[PM_WRITE_DATA] = "PM_WRITE_DATA",     [PM_WRITE_ENTRY] = "PM_WRITE_ENTRY",
	[PM_PART_DATA] = "PM_PART_DATA",       [PM_PART_ENTRY] = "PM_PART_ENTRY",
	[PM_TRIM_ENTRY] = "PM_TRIM_ENTRY",     [PM_FORMAT_DESTROY] = "PM_FORMAT_DESTROY",
	[PM_FORMAT_CLEAR] = "PM_FORMAT_CLEAR", [PM_FORMAT_ENTRIES] = "PM_FORMAT_ENTRIES",
	[PM_FORMAT_COPY] = "PM_FORMAT_COPY",   [PM_FORMAT_PRIMARY] = "PM_FORMAT_PRIMARY",
	[PM_REPAIR_SUPER] = "PM_REPAIR_SUPER", [PM_REPAIR_TAIL] = "PM_REPAIR_TAIL",
	[PM_OPEN_FOUND] = "PM_OPEN_FOUND",
};

static_assert(sizeof(orders) / sizeof(orders[0]) == PM_ORDER_COUNT, "each order point has a name");

const char *mutant_order_name(enum pm_order order)
{
	return order < PM_ORDER_COUNT ? orders[order] : "-";
}

/* A flush or drain can be missing or late everywhere; the rest is about requests. */
static bool exists(enum mutant_kind kind, enum pm_order order)
{
	if (kind >= MUTANT_PUNCH_NEEDED || order == PM_ORDER_COUNT)
		return kind >= MUTANT_PUNCH_NEEDED && order == PM_ORDER_COUNT;
	switch (kind) {
	case MUTANT_NO_FLUSH:
	case MUTANT_NO_DRAIN:
	case MUTANT_LATE_DRAIN:
		return true;
	case MUTANT_SHORT_FLUSH:
	case MUTANT_PUBLISH_FIRST:
		return order == PM_WRITE_DATA || order == PM_PART_DATA;
	case MUTANT_EARLY_RETIRE:
		return order == PM_WRITE_ENTRY || order == PM_PART_ENTRY || order == PM_TRIM_ENTRY;
	case MUTANT_NO_GRACE:
		/* Sections end after these; a trim retires when its entries are durable. */
		return order == PM_WRITE_ENTRY;
	default:
		return order == PM_TRIM_ENTRY;
	}
}

bool mutant_of_whole(const struct mutant *mutant)
{
	return mutant->kind != MUTANT_NONE && mutant->order >= PM_FORMAT_DESTROY &&
	       mutant->order <= PM_REPAIR_TAIL;
}

bool mutant_of_restart(const struct mutant *mutant)
{
	return mutant->kind != MUTANT_NONE && mutant->order == PM_OPEN_FOUND;
}

bool mutant_of_threads(const struct mutant *mutant)
{
	return mutant->kind >= MUTANT_TRUST_FOUND && mutant->kind != MUTANT_PUBLISH_FIRST;
}

void mutant_print(const struct mutant *mutant, char *name, size_t size)
{
	name[0] = '\0';
	if (mutant->order == PM_ORDER_COUNT)
		snprintf(name, size, "%s", kinds[mutant->kind]);
	else if (mutant->kind != MUTANT_NONE)
		snprintf(name, size, "%s:%s", kinds[mutant->kind], orders[mutant->order]);
}

bool mutant_parse(const char *name, struct mutant *mutant)
{
	char own[64];

	for (unsigned int k = MUTANT_NO_FLUSH; k < KINDS; k++)
		for (unsigned int o = 0; o <= PM_ORDER_COUNT; o++) {
			*mutant = (struct mutant){ k, o };
			mutant_print(mutant, own, sizeof(own));
			if (strcmp(own, name) == 0)
				return exists(k, o);
		}
	return false;
}

void mutant_list(FILE *to)
{
	for (unsigned int k = MUTANT_NO_FLUSH; k < KINDS; k++)
		for (unsigned int o = 0; o < PM_ORDER_COUNT; o++)
			if (exists(k, o))
				fprintf(to, "%s:%s\n", kinds[k], orders[o]);
}

/* The event that a drain comes before: the end of the thread's next stores, or its answer. */
static size_t next_of(const struct trace *trace, size_t drain)
{
	const struct event *event = trace->event;
	bool stored = false;
	size_t i;

	for (i = drain + 1; i < trace->count; i++) {
		if (event[i].thread != event[drain].thread)
			continue;
		if (event[i].kind == EVENT_ACK || event[i].kind == EVENT_FAIL ||
		    (stored && event[i].kind != EVENT_STORE))
			return i;
		stored = stored || event[i].kind == EVENT_STORE;
	}
	return drain;
}

void mutant_reorder(const struct mutant *mutant, struct trace *trace)
{
	if (mutant->kind != MUTANT_LATE_DRAIN)
		return;
	/* From the end, so that a drain that was moved is not met again. */
	for (size_t i = trace->count; i-- > 0;) {
		struct event late = trace->event[i];
		size_t to;

		if (late.kind != EVENT_DRAIN || late.order != mutant->order)
			continue;
		to = next_of(trace, i);
		memmove(&trace->event[i], &trace->event[i + 1], (to - i) * sizeof(late));
		trace->event[to] = late;
	}
}
