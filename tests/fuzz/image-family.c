/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image-family.c - which volume or snapshot comes before which, by the words of kmemblk-format(5): each looks at all
 * others, which is slow and plain.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "image.h"

static bool same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, 16) == 0;
}

static bool is_zero(const uint8_t *uuid)
{
	static const uint8_t zero[16];

	return same(uuid, zero);
}

/* The uuid of the volume that it is, or that it is a snapshot of. */
static const uint8_t *whose(const struct volume *v)
{
	return v->is_snapshot ? v->of : v->uuid;
}

static void find_name(const struct view *view, struct volume *v)
{
	const char *volume = NULL;
	char uuid[37];
	size_t at = 0;

	for (unsigned int i = 0; v->is_snapshot && volume == NULL && i < view->volumes; i++)
		if (!view->volume[i].is_snapshot && same(view->volume[i].uuid, v->of))
			volume = view->volume[i].own;
	for (unsigned int i = 0; i < 16; i++)
		at += (size_t)snprintf(uuid + at, sizeof(uuid) - at, "%s%02x",
				       i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", v->of[i]);
	snprintf(v->name, sizeof(v->name), "%s%s%s",
		 !v->is_snapshot  ? ""
		 : volume == NULL ? uuid
				  : volume,
		 v->is_snapshot ? "@" : "", v->own);
}

/* True if `a` is older than `b`, of the same volume: the volume is the last.  Of equals, by number. */
static bool is_older(const struct volume *a, const struct volume *b)
{
	if (a->is_snapshot != b->is_snapshot)
		return a->is_snapshot;
	return a->sequence != b->sequence ? a->sequence < b->sequence : a < b;
}

/* The youngest of those that are older; -1: it is the first. */
static int find_older(const struct view *view, const struct volume *v)
{
	int found = -1;

	for (unsigned int i = 0; i < view->volumes; i++) {
		const struct volume *other = &view->volume[i];

		if (other != v && same(whose(other), whose(v)) && is_older(other, v) &&
		    (found < 0 || is_older(&view->volume[found], other)))
			found = (int)i;
	}
	return found;
}

static int find_origin(struct view *view, const struct volume *v)
{
	unsigned int i = 0;

	if (is_zero(v->origin))
		return -1;
	while (i < view->volumes && !same(view->volume[i].uuid, v->origin))
		i++;
	if (i < view->volumes && view->volume[i].is_snapshot)
		return (int)i;
	view->problems++;
	return -1;
}

static void find_before(struct view *view, struct volume *v)
{
	const struct volume *older;

	for (const struct volume *other = view->volume; other < v; other++)
		if (same(other->uuid, v->uuid)) {
			view->problems++;
			break;
		}
	v->before = find_older(view, v);
	if (v->before < 0) {
		v->before = find_origin(view, v);
		return;
	}
	older = &view->volume[v->before];
	if (!older->is_snapshot) {
		/* Another of its uuid. */
		v->before = -1;
		return;
	}
	view->problems += older->sequence == v->sequence;
	view->problems += !same(older->origin, v->origin);
}

static void check_fit(struct view *view, struct volume *v)
{
	const struct volume *before = v->before < 0 ? NULL : &view->volume[v->before];

	if (before == NULL || (before->family == v->family && before->height <= v->height))
		return;
	view->problems++;
	v->before = -1;
}

/* From the first on: who leads back into the way that led to it has no predecessor. */
static void check_circle(struct view *view, int at, unsigned int walk)
{
	while (at >= 0 && view->volume[at].walk == 0) {
		struct volume *v = &view->volume[at];

		v->walk = walk;
		at = v->before;
		if (at >= 0 && view->volume[at].walk == walk) {
			view->problems++;
			v->before = -1;
		}
	}
}

void view_relate(struct view *view)
{
	for (unsigned int i = 0; i < view->volumes; i++)
		find_name(view, &view->volume[i]);
	for (unsigned int i = 0; i < view->volumes; i++)
		find_before(view, &view->volume[i]);
	for (unsigned int i = 0; i < view->volumes; i++)
		check_fit(view, &view->volume[i]);
	for (unsigned int i = 0; i < view->volumes; i++)
		check_circle(view, (int)i, i + 1);
}
