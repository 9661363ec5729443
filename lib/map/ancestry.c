/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ancestry.c - which view comes before which.  See ancestry.h.
 *
 * All views are sorted by their volume and age, so that each comes behind its predecessor; the first of a volume has the
 * snapshot that the volume was made from, which is found by its uuid.  Then whoever does not fit to his predecessor loses
 * it, and so does one of each circle: what is left are trees, whatever the media say (invariant 7).
 *
 * Views that are equal in that are in the order of the directory: what is told does not depend on the sort.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "map/ancestry.h"

#define UUID_SIZE 16

static_assert(UUID_STR_LEN <= LAYOUT_NAME_SIZE, "a volume's uuid stands for its name");

struct finding {
	/* Both are of all views. */
	struct scan_view **aged;  /* by volume, the oldest snapshot first and the volume last */
	struct scan_view **named; /* by uuid */
	unsigned int count;
	ancestry_problem_fn problem;
	void *opaque;
};

void ancestry_name(const struct scan_view *view, char name[LISTING_NAME_SIZE])
{
	listing_name(&view->map.record, view->volume == NULL ? NULL : &view->volume->map.record,
		     name);
}

/* Tell what is wrong with a view, in words that begin with its name and may end with another's. */
static void tell(const struct finding *f, const struct scan_view *view, const char *words,
		 const struct scan_view *other)
{
	char text[2 * LISTING_NAME_SIZE + 100], name[LISTING_NAME_SIZE],
		second[LISTING_NAME_SIZE] = "";

	ancestry_name(view, name);
	if (other != NULL)
		ancestry_name(other, second);
	snprintf(text, sizeof(text), "%s: %s%s", name, words, second);
	f->problem(f->opaque, view, text);
}

/* ---- sorting --------------------------------------------------------------------------------- */

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static const struct scan_view *view_at(const void *at)
{
	return *(struct scan_view *const *)at;
}

static bool are_of_one_volume(const struct scan_view *a, const struct scan_view *b)
{
	return memcmp(record_volume(&a->map.record), record_volume(&b->map.record), UUID_SIZE) == 0;
}

static int by_age(const void *a, const void *b)
{
	const struct scan_view *x = view_at(a), *y = view_at(b);
	const struct record *first = &x->map.record, *second = &y->map.record;
	int order = memcmp(record_volume(first), record_volume(second), UUID_SIZE);

	/* Of a volume it is 0: one less is the largest there is. */
	if (order == 0)
		order = compare(first->sequence - 1, second->sequence - 1);
	return order != 0 ? order : compare(x->number, y->number);
}

static int by_uuid(const void *a, const void *b)
{
	const struct scan_view *x = view_at(a), *y = view_at(b);
	int order = memcmp(x->map.record.uuid, y->map.record.uuid, UUID_SIZE);

	return order != 0 ? order : compare(x->number, y->number);
}

/* The first that has a uuid. */
static struct scan_view *find_uuid(const struct finding *f, const uint8_t *uuid)
{
	unsigned int first = 0, end = f->count;

	while (first < end) {
		unsigned int middle = first + (end - first) / 2;

		if (memcmp(f->named[middle]->map.record.uuid, uuid, UUID_SIZE) < 0)
			first = middle + 1;
		else
			end = middle;
	}
	return first < f->count && memcmp(f->named[first]->map.record.uuid, uuid, UUID_SIZE) == 0
		       ? f->named[first]
		       : NULL;
}

/* ---- predecessors ---------------------------------------------------------------------------- */

static void tell_equal_uuids(const struct finding *f)
{
	for (unsigned int i = 1; i < f->count; i++)
		if (memcmp(f->named[i - 1]->map.record.uuid, f->named[i]->map.record.uuid,
			   UUID_SIZE) == 0)
			tell(f, f->named[i], "it has the uuid of another, ", f->named[i - 1]);
}

/* The oldest of a volume: what that was cloned from. */
static void find_origin(const struct finding *f, struct scan_view *view)
{
	static const uint8_t none[UUID_SIZE];
	const struct record *record = &view->map.record;
	struct scan_view *origin;

	if (memcmp(record->origin, none, UUID_SIZE) == 0)
		return;
	origin = find_uuid(f, record->origin);
	if (origin == NULL || !record_is_snapshot(&origin->map.record))
		tell(f, view, "the snapshot that it was cloned from is not there", NULL);
	else
		view->predecessor = origin;
}

static void follow(const struct finding *f, struct scan_view *view, struct scan_view *before)
{
	/* Two volumes of one uuid, which has been told. */
	if (!record_is_snapshot(&before->map.record))
		return;
	if (view->map.record.sequence == before->map.record.sequence)
		tell(f, view, "it has the sequence of another snapshot, ", before);
	if (memcmp(view->map.record.origin, before->map.record.origin, UUID_SIZE) != 0)
		tell(f, view, "its origin is not that of ", before);
	view->predecessor = before;
}

/* A volume and its snapshots: aged[first] and on.  Where they end. */
static unsigned int find_volume(const struct finding *f, unsigned int first)
{
	struct scan_view *volume = NULL;
	unsigned int end = first;

	for (; end < f->count && are_of_one_volume(f->aged[first], f->aged[end]); end++)
		if (volume == NULL && !record_is_snapshot(&f->aged[end]->map.record))
			volume = f->aged[end];
	for (unsigned int i = first; i < end; i++)
		if (record_is_snapshot(&f->aged[i]->map.record))
			f->aged[i]->volume = volume;
	return end;
}

/* A map is at least as high as what it shares tables with, and of its family. */
static void check_fit(const struct finding *f, struct scan_view *view)
{
	const struct scan_view *before = view->predecessor;

	if (before == NULL)
		return;
	if (before->map.record.family != view->map.record.family)
		tell(f, view, "its family is not that of ", before);
	else if (before->map.record.height > view->map.record.height)
		tell(f, view, "its map is less high than that of ", before);
	else
		return;
	view->predecessor = NULL;
}

/* Cut a circle that the chain from a view leads to.  Each view is met once in all walks. */
static void cut_circle(const struct finding *f, struct scan_view *view, unsigned int walk)
{
	for (; view != NULL && view->walk == 0; view = view->predecessor) {
		view->walk = walk;
		if (view->predecessor != NULL && view->predecessor->walk == walk) {
			tell(f, view,
			     "it was cloned from what came of itself: ", view->predecessor);
			view->predecessor = NULL;
		}
	}
}

static void find_all(const struct finding *f, struct scan_view *views)
{
	/* All names before the first is told. */
	for (unsigned int i = 0; i < f->count;)
		i = find_volume(f, i);
	tell_equal_uuids(f);
	for (unsigned int i = 0; i < f->count; i++)
		if (i > 0 && are_of_one_volume(f->aged[i - 1], f->aged[i]))
			follow(f, f->aged[i], f->aged[i - 1]);
		else
			find_origin(f, f->aged[i]);
	for (unsigned int i = 0; i < f->count; i++)
		check_fit(f, &views[i]);
	for (unsigned int i = 0; i < f->count; i++)
		cut_circle(f, &views[i], i + 1);
}

int ancestry_find(struct scan_view *views, unsigned int count, ancestry_problem_fn problem,
		  void *opaque)
{
	struct scan_view **sorted = calloc(2 * (size_t)count + 1, sizeof(sorted[0]));
	struct finding f = { .count = count, .problem = problem, .opaque = opaque };

	if (sorted == NULL)
		return -ENOMEM;
	f.aged = sorted;
	f.named = sorted + count;
	for (unsigned int i = 0; i < count; i++)
		f.aged[i] = f.named[i] = &views[i];
	qsort(f.aged, count, sizeof(f.aged[0]), by_age);
	qsort(f.named, count, sizeof(f.named[0]), by_uuid);
	find_all(&f, views);
	free(sorted);
	return 0;
}
