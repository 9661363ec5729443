/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scan-views.c - find all volumes and snapshots at open: the directory, its copy, and the records they name.
 *
 * What is wrong is told by the scan's `directory_problem`, or the first of it kept; and what cannot be followed is
 * as if it were not there.  No two have the same record, or the same name.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map/directory.h"
#include "map/ancestry.h"
#include "map/scan-run.h"

static void problem(struct scan_run *run, struct scan_problem what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void problem(struct scan_run *run, struct scan_problem what, const char *format, ...)
{
	struct scan *scan = run->scan;
	char text[sizeof(scan->problem)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	what.text = text;
	if (scan->directory_problem != NULL &&
	    scan->directory_problem(scan->directory_opaque, &what))
		return;
	if (scan->problems++ == 0)
		memcpy(scan->problem, text, sizeof(text));
}

/* True if two records are of the same name: a snapshot has its own among those of its volume. */
static bool is_namesake(const struct record *a, const struct record *b)
{
	if (strcmp(a->name, b->name) != 0 || record_is_snapshot(a) != record_is_snapshot(b))
		return false;
	return !record_is_snapshot(a) || memcmp(a->volume, b->volume, sizeof(a->volume)) == 0;
}

/* Where the name of a view is among all, or where it is to be put. */
static uint32_t *find_name(const struct scan_run *run, const struct record *record)
{
	uint32_t hash = 2166136261u;

	for (const char *c = record->name; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	for (unsigned int i = 0; i < sizeof(record->volume); i++)
		hash = (hash ^ record->volume[i]) * 16777619u;
	for (;; hash++) {
		uint32_t *at = &run->by_name[hash & run->by_name_mask];

		if (*at == 0 || is_namesake(&run->scan->views[*at - 1].map.record, record))
			return at;
	}
}

/* True if another has the name, or the record's page.  So far nothing but records is named. */
static bool is_known(const struct scan_run *run, const struct record *record, uint64_t page)
{
	return bitmap_test(run->scan->named, page - super_data_start(run->super)) ||
	       *find_name(run, record) != 0;
}

/* Take the record on a page for that of a volume.  False if it is none, or another's. */
static bool add_view(struct scan_run *run, unsigned int number, uint64_t page)
{
	struct scan_problem what = { .number = number };
	struct scan *scan = run->scan;
	struct record_verdict verdict;
	struct record record;
	struct scan_view *view;

	scan_note_page(run, (struct scan_page){ .page = page });
	if (!record_read(run->device, page, &record, &verdict)) {
		problem(run, what, "the record of volume %u is damaged: %s", number,
			verdict.reason);
		return false;
	}
	if (is_known(run, &record, page)) {
		problem(run, what, "volume %u has the name or the record of another, %s", number,
			record.name);
		return false;
	}
	view = &scan->views[scan->view_count++];
	*find_name(run, &record) = scan->view_count;
	view->number = number;
	view->page = page;
	map_open(&view->map, run->device, run->super, &record, page);
	bitmap_set(scan->named, page - super_data_start(run->super));
	scan->tables++;
	return true;
}

/* Tell what is wrong with one of an entry and its copy; `page`: of the record that the other names, or 0. */
static void judge_entry(struct scan_run *run, unsigned int number, bool copy, uint64_t said,
			uint64_t page)
{
	struct scan_problem what = { .number = number, .copy = copy, .page = page };
	const char *whose = copy ? "the directory's copy" : "the directory";

	what.unreadable = said == DIRECTORY_UNREADABLE;
	if (said == DIRECTORY_UNREADABLE)
		problem(run, what, "entry %u of %s: media error", number, whose);
	else if (said == DIRECTORY_DAMAGED)
		problem(run, what, "entry %u of %s is damaged", number, whose);
	else
		problem(run, what, "entry %u of %s is lost", number, whose);
}

/* The volume that was just added is not the one that the entry's copy names: no change of a volume does that. */
static void judge_other(struct scan_run *run, unsigned int number, uint64_t page)
{
	const struct record *record = &run->scan->views[run->scan->view_count - 1].map.record;
	struct scan_problem what = { .number = number };
	struct record_verdict verdict;
	struct record other;

	if (!record_read(run->device, page, &other, &verdict) ||
	    (other.family == record->family &&
	     memcmp(other.uuid, record->uuid, sizeof(other.uuid)) == 0))
		return;
	problem(run, what,
		"entry %u of the directory and its copy name different volumes, %s and %s", number,
		record->name, other.name);
}

/*
 * A volume is where its entry in the directory says.  The copy stands in for an entry that cannot be followed or
 * is lost, and for nothing else.
 */
static void find_view(struct scan_run *run, unsigned int number)
{
	uint64_t first = directory_read(run->device, run->super, number, false);
	uint64_t copy = directory_read(run->device, run->super, number, true);
	bool lost = !directory_names(first) && directory_names(copy);
	uint64_t page = lost ? copy : first;
	bool whole = directory_names(page) && add_view(run, number, page);

	if (first != copy)
		run->scan->unequal = true;
	if (lost || first >= DIRECTORY_UNREADABLE)
		judge_entry(run, number, false, first, whole ? page : 0);
	if (copy >= DIRECTORY_UNREADABLE)
		judge_entry(run, number, true, copy, whole ? page : 0);
	else if (whole && !lost && copy != 0 && copy != first)
		judge_other(run, number, copy);
}

static void tell_family(void *run, const struct scan_view *view, const char *text)
{
	struct scan_problem what = { .number = view->number };

	problem(run, what, "%s", text);
}

void scan_find_views(struct scan_run *run)
{
	const struct super *super = run->super;
	unsigned int size = directory_size(super);

	if (size == 0)
		return;
	/* At most half full, and a power of two. */
	run->by_name_mask = 2 * LAYOUT_TABLE_ENTRIES - 1;
	while (run->by_name_mask < 2 * size - 1)
		run->by_name_mask = 2 * run->by_name_mask + 1;
	run->by_name = calloc(run->by_name_mask + 1ull, sizeof(run->by_name[0]));
	if (run->by_name == NULL) {
		run->out_of_memory = true;
		return;
	}
	for (uint64_t page = super->directory_start; page < super_data_start(super); page++)
		scan_note_page(run, (struct scan_page){ .page = page });
	for (unsigned int i = 0; i < size; i++)
		find_view(run, i);
	free(run->by_name);
	if (ancestry_find(run->scan->views, run->scan->view_count, tell_family, run) != 0)
		run->out_of_memory = true;
}
