/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clone.c - make a volume of a snapshot, or make a volume again what a snapshot holds.
 *
 * Either has a record with the snapshot's root, and the snapshot as predecessor: it owns nothing, and what it has is
 * reserved for it, for all of it may be overwritten (docs/design.md, "Reservations").  The tables that it names are
 * durable, since the snapshot has them.
 *
 * A rollback is with nobody in the volume.  What the volume owns is marked while it still names it, and retired when
 * the directory has named the new record, durably (invariant 3).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>

#include "api/change.h"
#include "api/snapshots.h"
#include "base/error.h"
#include "base/names.h"
#include "io/request.h"
#include "io/volume.h"
#include "map/directory.h"
#include "map/doomed.h"
#include "map/ownership.h"
#include "map/tree.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

/* ---- clones --------------------------------------------------------------------------------- */

/* Find a snapshot. */
static int find_locked(struct kmemblk *h, const char *what, const char *name,
		       struct kmemblk_volume **s)
{
	*s = volume_find_locked(h, what, name);
	if (*s == NULL)
		return -ENOENT;
	if (!record_is_snapshot(&(*s)->map.record))
		return fail(EINVAL, "%s: %s: %s is no snapshot: those are VOLUME@SNAPSHOT", what,
			    h->device.path, name);
	return 0;
}

/* What is reserved for a volume that has become what a snapshot holds: it owns nothing. */
static uint64_t takes_as_new(const struct map *snapshot, bool thin)
{
	return thin ? snapshot->tables : map_takes(snapshot);
}

/* What it will share is reserved before it is named. */
static int clone_locked(struct kmemblk_volume *s, const char *name, bool thin)
{
	static const struct change_need needs[] = {
		{ "clone", "so that all of it can be overwritten",
		  ", or add --thin: then an overwrite may find no page" },
		{ "clone", "for its tables", "" },
	};
	struct kmemblk *h = s->h;
	uint64_t sum = takes_as_new(&s->map, thin), page;
	struct record record = s->map.record;
	unsigned int number = 0;
	struct kmemblk_volume *v;
	bool named = false;
	int rc = change_find_number_locked(h, "clone", &number);

	if (rc != 0)
		return rc;
	record.flags = thin ? LAYOUT_RECORD_THIN : 0;
	record.sequence = 0;
	record.created = (uint64_t)time(NULL);
	memset(record.volume, 0, sizeof(record.volume));
	memcpy(record.origin, record.uuid, sizeof(record.origin));
	uuid_generate(record.uuid);
	memset(record.name, 0, sizeof(record.name));
	memcpy(record.name, name, strlen(name));
	rc = change_reserve(h, sum, &needs[thin]);
	if (rc != 0)
		return rc;
	rc = change_take(h, "clone", &page);
	if (rc != 0)
		goto out;
	v = volume_new(h, number, &record, page);
	if (v == NULL)
		rc = -ENOMEM;
	else
		rc = change_publish(h, number, &record, page, change_root(s), &named);
	if (rc != 0) {
		if (!named)
			change_put(h, page);
		if (v != NULL)
			volume_free(v);
		goto out;
	}
	pool_note_table(&h->pool, page);
	v->map.used = s->map.used;
	v->map.tables = s->map.tables;
	volume_set_predecessor(v, s);
	/* No snapshot of ours has anything past its end. */
	v->past = tree_names_past(&v->map, record.blocks);
	h->volumes[number] = v;
out:
	if (rc != 0)
		change_unreserve(h, sum);
	return rc;
}

int kmemblk_volume_clone(struct kmemblk *h, const char *snapshot, const char *name,
			 unsigned int flags)
{
	struct kmemblk_volume *s;
	int rc = change_check(h, "clone");

	if (rc == 0 && flags & ~KMEMBLK_THIN)
		rc = fail(EINVAL, "clone: %s: unknown flags 0x%x", h->device.path, flags);
	if (rc != 0)
		return rc;
	change_begin(h);
	rc = find_locked(h, "clone", snapshot, &s);
	if (rc == 0)
		rc = change_check_name_locked(h, "clone", name);
	if (rc == 0)
		rc = clone_locked(s, name, flags & KMEMBLK_THIN);
	return change_end(h, rc);
}

/* ---- rollback ------------------------------------------------------------------------------- */

/* 0 if there are no snapshots that are younger, or all of them can be deleted, and are to be. */
static int check_younger_locked(struct kmemblk_volume *v, const struct kmemblk_volume *s,
				bool force)
{
	struct kmemblk *h = v->h;
	struct names names = { 0 };
	int rc = 0;

	for (struct kmemblk_volume *p = v->predecessor; !force && p != s; p = p->predecessor)
		names_add(&names, p->map.record.name);
	if (names.length > 0)
		return fail(EEXIST,
			    "rollback: %s: volume %s has younger snapshots: %s; to lose them, add "
			    "--force",
			    h->device.path, v->map.record.name, names_text(&names));
	for (struct kmemblk_volume *p = v->predecessor; rc == 0 && p != s; p = p->predecessor)
		rc = snapshot_check_locked(p, "rollback");
	return rc;
}

/* Its record names the snapshot's tables again; what it owns is free.  `more`: has been reserved beside what it takes. */
static int go_back_locked(struct kmemblk_volume *v, struct kmemblk_volume *s,
			  const struct doomed *doomed, uint64_t more)
{
	struct kmemblk *h = v->h;
	uint64_t reserved = map_takes(&v->map) + more, page, old;
	struct record record = v->map.record;
	struct snapshot_retired retired;
	bool named = false;
	int rc;

	record.blocks = s->map.record.blocks;
	record.height = s->map.record.height;
	rc = cache_take_table(&h->pool, "rollback", &page);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&v->map.lock);
	rc = change_replace(v, &record, page, change_root(s), &named, &old);
	map_open_gate(&v->map);
	pthread_mutex_unlock(&v->map.lock);
	if (rc != 0) {
		if (!named)
			pool_put_table(&h->pool, page);
		return rc;
	}
	v->past = tree_names_past(&v->map, record.blocks);
	v->map.used = s->map.used;
	v->map.tables = s->map.tables;
	v->map.owned = 0;
	v->map.owned_tables = 0;
	reserve_unmap_begin(&h->pool);
	snapshot_retire_marked(h, doomed, &retired);
	reserve_unmap_end(&h->pool, reserved - map_takes(&v->map));
	change_retire(h, old);
	return 0;
}

static int replace_locked(struct kmemblk_volume *v, struct kmemblk_volume *s, uint64_t more)
{
	struct doomed doomed;
	int rc = doomed_init(&doomed, &s->map, &v->map);

	if (rc != 0)
		rc = fail(ENOMEM, "rollback: %s: out of memory", v->h->device.path);
	else if (!snapshot_mark_owned(&doomed, &v->map, NULL))
		rc = fail(EUCLEAN, "rollback: %s: the map of volume %s is damaged",
			  v->h->device.path, v->map.record.name);
	else
		rc = go_back_locked(v, s, &doomed, more);
	doomed_destroy(&doomed);
	return rc;
}

static int rollback_locked(struct kmemblk_volume *v, struct kmemblk_volume *s, unsigned int flags)
{
	static const struct change_need need = { "rollback", "so that all of it can be overwritten",
						 ", or make it thin (kmemblk thin)" };
	uint64_t now = map_takes(&v->map), then = takes_as_new(&s->map, map_is_thin(&v->map));
	/* Younger snapshots that are deleted take nothing of `now` away. */
	uint64_t more = then > now ? then - now : 0;
	int rc = volume_claim_locked(v, "rollback");

	if (rc == 0)
		rc = check_younger_locked(v, s, flags & KMEMBLK_VOLUME_FORCE);
	/* Before anything is deleted: what is refused for want of room has lost nothing. */
	if (rc == 0)
		rc = change_reserve(v->h, more, &need);
	if (rc != 0)
		return rc;
	while (rc == 0 && v->predecessor != s)
		rc = snapshot_delete_locked(v->predecessor);
	if (rc == 0)
		rc = replace_locked(v, s, more);
	if (rc != 0)
		change_unreserve(v->h, more);
	return rc;
}

int kmemblk_volume_rollback(struct kmemblk *h, const char *snapshot, unsigned int flags)
{
	struct kmemblk_volume *s, *v = NULL;
	int rc = change_check(h, "rollback");

	if (rc == 0 && flags & ~KMEMBLK_VOLUME_FORCE)
		rc = fail(EINVAL, "rollback: %s: unknown flags 0x%x", h->device.path, flags);
	if (rc != 0)
		return rc;
	change_begin(h);
	rc = find_locked(h, "rollback", snapshot, &s);
	if (rc == 0)
		v = s->of;
	if (rc == 0 && v == NULL)
		rc = fail(ENOENT, "rollback: %s: the volume of %s is not there", h->device.path,
			  snapshot);
	if (rc == 0)
		rc = rollback_locked(v, s, flags);
	return change_end(h, rc);
}
