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
	[MUTANT_FIRST] = "first",
	[MUTANT_LEFT_OUT] = "left-out",
	[MUTANT_TRUST_FOUND] = "trust-found",
	[MUTANT_TRUST_FOUND_PART] = "trust-found-by-part",
	[MUTANT_PUBLISH_FIRST] = "publish-first",
	[MUTANT_EARLY_RETIRE] = "early-retire",
	[MUTANT_EARLY_LEAF] = "early-leaf",
	[MUTANT_COPY_LAST] = "copy-last",
	[MUTANT_NO_CUT] = "no-cut",
	[MUTANT_NO_CUT_FOUND] = "no-cut-found",
	[MUTANT_NO_MAP_LOCK] = "no-map-lock",
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
	[MUTANT_WRITE_SHARED] = "write-shared",
	[MUTANT_RETIRE_SHARED] = "retire-shared",
	[MUTANT_LEAVE_OWN] = "leave-own",
	[MUTANT_NO_GATE] = "no-gate",
	[MUTANT_NO_GATE_GRACE] = "no-gate-grace",
	[MUTANT_SAME_EPOCH] = "same-epoch",
	[MUTANT_OLD_PREDECESSOR] = "old-predecessor",
	[MUTANT_NO_GUARANTEE] = "no-guarantee",
	[MUTANT_NO_SWEEP_GRACE] = "no-sweep-grace",
	[MUTANT_NO_SWEEP] = "no-sweep",
	[MUTANT_NO_MARK] = "no-mark",
	[MUTANT_THIN_LAST] = "thin-last",
	[MUTANT_EARLY_ROOM] = "early-room",
	[MUTANT_LATE_ROOM] = "late-room",
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const orders[] = {
	[PM_WRITE_DATA] = "PM_WRITE_DATA",
	[PM_WRITE_ENTRY] = "PM_WRITE_ENTRY",
	[PM_PART_DATA] = "PM_PART_DATA",
	[PM_PART_ENTRY] = "PM_PART_ENTRY",
	[PM_TRIM_ENTRY] = "PM_TRIM_ENTRY",
	[PM_TABLE_CONTENTS] = "PM_TABLE_CONTENTS",
	[PM_TABLE_ENTRY] = "PM_TABLE_ENTRY",
	[PM_RECORD] = "PM_RECORD",
	[PM_DIRECTORY] = "PM_DIRECTORY",
	[PM_DIRECTORY_COPY] = "PM_DIRECTORY_COPY",
	[PM_CUT] = "PM_CUT",
	[PM_FORMAT_DESTROY] = "PM_FORMAT_DESTROY",
	[PM_FORMAT_CLEAR] = "PM_FORMAT_CLEAR",
	[PM_FORMAT_ENTRIES] = "PM_FORMAT_ENTRIES",
	[PM_FORMAT_COPY] = "PM_FORMAT_COPY",
	[PM_FORMAT_PRIMARY] = "PM_FORMAT_PRIMARY",
	[PM_GROW_COPY] = "PM_GROW_COPY",
	[PM_GROW_CLEAR] = "PM_GROW_CLEAR",
	[PM_GROW_CHECKSUM] = "PM_GROW_CHECKSUM",
	[PM_GROW_PRIMARY] = "PM_GROW_PRIMARY",
	[PM_REPAIR_SUPER] = "PM_REPAIR_SUPER",
	[PM_OPEN_FOUND] = "PM_OPEN_FOUND",
};

static_assert(sizeof(orders) / sizeof(orders[0]) == PM_ORDER_COUNT, "each order point has a name");

const char *mutant_order_name(enum pm_order order)
{
	return order < PM_ORDER_COUNT ? orders[order] : "-";
}

/* A flush or drain can be missing or late everywhere; the rest is about one point or a few. */
static bool exists(enum mutant_kind kind, enum pm_order order)
{
	if (kind >= MUTANT_PUNCH_NEEDED || order == PM_ORDER_COUNT)
		return kind >= MUTANT_PUNCH_NEEDED && order == PM_ORDER_COUNT;
	switch (kind) {
	case MUTANT_NO_FLUSH:
		return true;
	case MUTANT_NO_DRAIN:
	case MUTANT_LATE_DRAIN:
		/* Before a superblock says that there is a directory there is another drain, that of the record. */
		return order != PM_FORMAT_CLEAR;
	case MUTANT_SHORT_FLUSH:
		return order == PM_WRITE_DATA || order == PM_PART_DATA;
	case MUTANT_FIRST:
		return order == PM_GROW_CLEAR || order == PM_GROW_PRIMARY;
	case MUTANT_LEFT_OUT:
		return order == PM_GROW_COPY || order == PM_GROW_CLEAR;
	case MUTANT_PUBLISH_FIRST:
		return order == PM_WRITE_DATA || order == PM_PART_DATA ||
		       order == PM_TABLE_CONTENTS || order == PM_RECORD;
	case MUTANT_EARLY_RETIRE:
		return order == PM_WRITE_ENTRY || order == PM_PART_ENTRY || order == PM_TRIM_ENTRY;
	case MUTANT_EARLY_LEAF:
		return order == PM_TABLE_ENTRY;
	case MUTANT_COPY_LAST:
		return order == PM_DIRECTORY_COPY;
	case MUTANT_NO_CUT:
	case MUTANT_NO_CUT_FOUND:
		return order == PM_CUT;
	case MUTANT_NO_MAP_LOCK:
		return order == PM_RECORD;
	case MUTANT_NO_GRACE:
		/* Sections end after these; a trim retires when its entries are durable. */
		return order == PM_WRITE_ENTRY;
	default:
		return order == PM_TRIM_ENTRY;
	}
}

enum place mutant_place(const struct mutant *mutant)
{
	switch (mutant->order) {
	case PM_FORMAT_DESTROY:
	case PM_FORMAT_CLEAR:
	case PM_FORMAT_ENTRIES:
	case PM_FORMAT_COPY:
	case PM_FORMAT_PRIMARY:
	case PM_REPAIR_SUPER:
		return PLACE_WHOLE;
	case PM_GROW_COPY:
	case PM_GROW_CLEAR:
	case PM_GROW_CHECKSUM:
	case PM_GROW_PRIMARY:
		return PLACE_GROWTH;
	case PM_OPEN_FOUND:
		return PLACE_RESTART;
	case PM_RECORD:
		return mutant->kind == MUTANT_NO_MAP_LOCK ? PLACE_VOLUME_THREADS : PLACE_VOLUMES;
	case PM_DIRECTORY:
	case PM_DIRECTORY_COPY:
	case PM_CUT:
		return PLACE_VOLUMES;
	case PM_TABLE_ENTRY:
		/* In one thread the next drain is in time. */
		return mutant->kind == MUTANT_NO_FLUSH ? PLACE_REQUESTS : PLACE_MAKERS;
	default:
		return mutant->kind >= MUTANT_TRUST_FOUND && mutant->kind != MUTANT_PUBLISH_FIRST
			       ? PLACE_THREADS
			       : PLACE_REQUESTS;
	}
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

/* All that is done at that point, and what it follows if that is the checksum, before the copy at a new end. */
static void put_first(struct trace *trace, enum pm_order order)
{
	size_t to = 0;

	while (to < trace->count && trace->event[to].order != PM_GROW_COPY)
		to++;
	for (size_t i = to; i < trace->count; i++) {
		struct event early = trace->event[i];

		if (early.order != order &&
		    (order != PM_GROW_PRIMARY || early.order != PM_GROW_CHECKSUM))
			continue;
		memmove(&trace->event[to + 1], &trace->event[to], (i - to) * sizeof(early));
		trace->event[to++] = early;
	}
}

static void leave_out(struct trace *trace, enum pm_order order)
{
	size_t kept = 0;

	for (size_t i = 0; i < trace->count; i++)
		if (trace->event[i].kind != EVENT_STORE || trace->event[i].order != order)
			trace->event[kept++] = trace->event[i];
	trace->count = kept;
}

void mutant_reorder(const struct mutant *mutant, struct trace *trace)
{
	if (mutant->kind == MUTANT_FIRST)
		put_first(trace, mutant->order);
	if (mutant->kind == MUTANT_LEFT_OUT)
		leave_out(trace, mutant->order);
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
