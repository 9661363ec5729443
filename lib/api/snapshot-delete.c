/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * snapshot-delete.c - delete snapshots, and volumes that have none.
 *
 * To delete a snapshot frees what it owns and its successor does not name: the next younger snapshot, or the volume.
 * That is marked by a walk of both maps (map/ownership.h); then the directory's entry is cleared, and drained; then what is
 * marked is retired (invariant 3).  Power lost before the entry is clear: the snapshot is there, whole.  After that: what
 * only it had is free.
 *
 * The volume may be written to meanwhile, and its writers mark as well (map/doomed.h):
 *
 *  1. Let them see `doomed`; a grace period.  Whoever did not see it has made his exchange, and the walk finds it.
 *  2. Walk, and mark.
 *  3. Close the gate; a grace period.  All have marked, and nobody goes by the snapshot any more (invariant 12).
 *  4. Clear the entry; the snapshot's predecessor becomes the volume's; open the gate with a new epoch.
 *  5. A grace period, for who has only looked.  Then retire, and free the snapshot's struct.
 *
 * Before a younger snapshot no writer goes by what is deleted.  But one may still look, who began before that younger
 * snapshot was made: the grace period of step 5 is for him, too.
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
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

/* ---- pages that are given back --------------------------------------------------------------- */

static void mark_block(void *opaque, uint64_t block, uint64_t page)
{
	(void)block;
	doomed_mark_block(opaque, page);
}

static void mark_table(void *opaque, unsigned int level, uint64_t number, uint64_t page)
{
	(void)level;
	(void)number;
	doomed_mark_table(opaque, page);
}

bool snapshot_mark_owned(struct doomed *doomed, const struct map *map, const struct map *successor)
{
	struct ownership_visitor visitor = { mark_block, mark_table, doomed };

	return ownership_visit(map, doomed->before, successor, &visitor);
}

static void retire_blocks(void *opaque, const uint64_t *page, unsigned int n)
{
	struct kmemblk *h = opaque;

	cache_retire(&h->pool, page, n);
}

static void retire_tables(void *opaque, const uint64_t *page, unsigned int n)
{
	struct kmemblk *h = opaque;

	for (unsigned int i = 0; i < n; i++)
		pool_forget_table(&h->pool, page[i]);
	cache_retire(&h->pool, page, n);
}

void snapshot_retire_marked(struct kmemblk *h, const struct doomed *doomed,
			    struct snapshot_retired *retired)
{
	retired->tables = doomed_visit(doomed, true, retire_tables, h);
	retired->blocks = doomed_visit(doomed, false, retire_blocks, h);
	atomic_fetch_sub_explicit(&h->pool.blocks, retired->blocks, memory_order_relaxed);
	pool_unblock_zones(&h->pool);
}

/* ---- deleting ------------------------------------------------------------------------------- */

/* Who comes after a snapshot: the next of its volume; *clone: a volume that was made from it, or NULL. */
static struct kmemblk_volume *successor_locked(struct kmemblk_volume *s,
					       struct kmemblk_volume **clone)
{
	struct kmemblk *h = s->h;
	struct kmemblk_volume *next = NULL;

	*clone = NULL;
	for (unsigned int i = 0; i < directory_size(&h->super); i++) {
		struct kmemblk_volume *v = h->volumes[i];

		if (v == NULL || v->predecessor != s)
			continue;
		if (memcmp(record_volume(&v->map.record), s->map.record.volume,
			   sizeof(s->map.record.volume)) == 0)
			next = v;
		else
			*clone = v;
	}
	return next;
}

/* The record is gone: its successor takes over, and what is marked is free. */
static void free_locked(struct kmemblk_volume *s, struct kmemblk_volume *next,
			struct doomed *doomed)
{
	struct kmemblk *h = s->h;
	struct snapshot_retired retired;
	uint64_t freed;

	reserve_unmap_begin(&h->pool);
	snapshot_retire_marked(h, doomed, &retired);
	change_retire(h, s->page);
	if (next != NULL) {
		atomic_fetch_add_explicit(&next->map.owned, s->map.owned - retired.blocks,
					  memory_order_relaxed);
		atomic_fetch_add_explicit(&next->map.owned_tables,
					  s->map.owned_tables - retired.tables,
					  memory_order_relaxed);
	}
	/* What is taken over: a volume has reserved it, but if it is thin only tables; a snapshot has not. */
	freed = retired.blocks + retired.tables;
	if (next != NULL && !record_is_snapshot(&next->map.record))
		freed = map_is_thin(&next->map) ? retired.blocks + s->map.owned_tables
						: map_owns(&s->map);
	reserve_unmap_end(&h->pool, freed + 1);
	volume_free(s);
}

/* What cannot be followed stays out of use until the next open. */
static void mark_unlocked(struct doomed *doomed, struct kmemblk_volume *v,
			  struct kmemblk_volume *next)
{
	struct kmemblk *h = v->h;

	/* It takes long, and others may open volumes meanwhile, but not this one. */
	pthread_mutex_unlock(&h->volumes_lock);
	(void)snapshot_mark_owned(doomed, &v->map, next == NULL ? NULL : &next->map);
	pthread_mutex_lock(&h->volumes_lock);
}

static int delete_before_snapshot_locked(struct kmemblk_volume *s, struct kmemblk_volume *next,
					 struct doomed *doomed)
{
	int rc;

	mark_unlocked(doomed, s, next);
	rc = change_clear(s->h, s->number);
	if (rc != 0)
		return rc;
	s->h->volumes[s->number] = NULL;
	if (next != NULL)
		volume_set_predecessor(next, s->predecessor);
	/* For sections of the volume that found this predecessor before `next` was made: step 5. */
	grace_wait();
	free_locked(s, next, doomed);
	return 0;
}

static int delete_before_volume_locked(struct kmemblk_volume *s, struct kmemblk_volume *v,
				       struct doomed *doomed)
{
	int rc;

	/* Release: see map_doomed(). */
	atomic_store_explicit(&v->map.doomed, doomed, memory_order_release);
	/* After this, who replaces what the snapshot owns marks it; all else the walk finds. */
	grace_wait();
	mark_unlocked(doomed, s, v);
	pthread_mutex_lock(&v->map.lock);
	map_close_gate(&v->map);
	/* After this all is marked, and no entry is changed by this predecessor (invariants 11 and 12). */
	grace_wait();
	rc = change_clear(s->h, s->number);
	if (rc == 0) {
		s->h->volumes[s->number] = NULL;
		volume_set_predecessor(v, s->predecessor);
	}
	atomic_store_explicit(&v->map.doomed, NULL, memory_order_relaxed);
	map_open_gate(&v->map);
	pthread_mutex_unlock(&v->map.lock);
	/* For sections that change nothing: after it nobody has the snapshot's map, or `doomed`. */
	grace_wait();
	if (rc == 0)
		free_locked(s, v, doomed);
	return rc;
}

int snapshot_retire_volume_locked(struct kmemblk_volume *v)
{
	struct kmemblk *h = v->h;
	struct snapshot_retired retired;
	struct doomed doomed;
	int rc =
		doomed_init(&doomed, v->predecessor == NULL ? NULL : &v->predecessor->map, &v->map);

	if (rc != 0) {
		rc = fail(ENOMEM, "delete: %s: out of memory", h->device.path);
		goto out;
	}
	mark_unlocked(&doomed, v, NULL);
	rc = change_clear(h, v->number);
	if (rc != 0)
		goto out;
	h->volumes[v->number] = NULL;
	reserve_unmap_begin(&h->pool);
	snapshot_retire_marked(h, &doomed, &retired);
	change_retire(h, v->page);
	reserve_unmap_end(&h->pool, map_takes(&v->map) + 1);
	volume_free(v);
out:
	doomed_destroy(&doomed);
	return rc;
}

static int fail_clone(struct kmemblk_volume *s, struct kmemblk_volume *clone, const char *what)
{
	char name[VOLUME_NAME_SIZE], clone_name[VOLUME_NAME_SIZE];

	/* What comes after it may be the oldest snapshot of the clone. */
	if (clone->of != NULL)
		clone = clone->of;
	volume_name(s, name);
	volume_name(clone, clone_name);
	return fail(EBUSY, "%s: %s: volume %s was made from %s: delete %s first", what,
		    s->h->device.path, clone_name, name, clone_name);
}

int snapshot_check_locked(struct kmemblk_volume *s, const char *what)
{
	struct kmemblk_volume *clone;
	int rc = volume_claim_locked(s, what);

	if (rc != 0)
		return rc;
	(void)successor_locked(s, &clone);
	return clone == NULL ? 0 : fail_clone(s, clone, what);
}

int snapshot_delete_locked(struct kmemblk_volume *s)
{
	struct kmemblk *h = s->h;
	struct kmemblk_volume *clone, *next = successor_locked(s, &clone);
	struct doomed doomed;
	int rc = snapshot_check_locked(s, "delete");

	if (rc != 0)
		return rc;
	rc = doomed_init(&doomed, s->predecessor == NULL ? NULL : &s->predecessor->map, &s->map);
	if (rc != 0)
		rc = fail(ENOMEM, "delete: %s: out of memory", h->device.path);
	else if (next != NULL && !record_is_snapshot(&next->map.record))
		rc = delete_before_volume_locked(s, next, &doomed);
	else
		rc = delete_before_snapshot_locked(s, next, &doomed);
	doomed_destroy(&doomed);
	return rc;
}

/* ---- all snapshots of a volume --------------------------------------------------------------- */

/* The next older snapshot of the same volume, or NULL. */
static struct kmemblk_volume *older_locked(const struct kmemblk_volume *v)
{
	struct kmemblk_volume *s = v->predecessor;

	return s == NULL || memcmp(s->map.record.volume, record_volume(&v->map.record),
				   sizeof(s->map.record.volume)) != 0
		       ? NULL
		       : s;
}

int snapshot_check_none_locked(const struct kmemblk_volume *v)
{
	const struct kmemblk_volume *s = older_locked(v);
	struct names names = { 0 };

	if (s == NULL)
		return 0;
	for (; s != NULL; s = older_locked(s))
		names_add(&names, s->map.record.name);
	return fail(EBUSY,
		    "delete: %s: volume %s has snapshots: %s; to delete them and it, add "
		    "--recursive",
		    v->h->device.path, v->map.record.name, names_text(&names));
}

int snapshot_delete_all_locked(struct kmemblk_volume *v)
{
	int rc = 0;

	/* The lock stays taken: the mover is in no snapshot, and so no claim waits. */
	for (struct kmemblk_volume *s = older_locked(v); rc == 0 && s != NULL; s = older_locked(s))
		rc = snapshot_check_locked(s, "delete");
	while (rc == 0 && older_locked(v) != NULL)
		rc = snapshot_delete_locked(older_locked(v));
	return rc;
}
