/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * volume.c - the volumes of an open device.
 *
 * All there are have a struct from the open on, so that they can be told and found by name; the leaves of a map
 * are in memory only while somebody uses it.  The mover (lend/compaction.c) uses them one after another, without
 * counting as somebody who has one open: who wants to delete or to cut a volume has it leave.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/error.h"
#include "base/names.h"
#include "io/volume.h"
#include "map/directory.h"
#include "map/tree.h"

struct kmemblk_volume *volume_new(struct kmemblk *h, unsigned int number,
				  const struct record *record, uint64_t page)
{
	struct kmemblk_volume *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		fail(ENOMEM, "open: %s: out of memory for a volume", h->device.path);
		return NULL;
	}
	v->h = h;
	v->number = number;
	v->page = page;
	map_open(&v->map, &h->device, &h->super, record, page);
	return v;
}

void volume_free(struct kmemblk_volume *v)
{
	map_close(&v->map);
	free(v);
}

void volume_set_predecessor(struct kmemblk_volume *v, struct kmemblk_volume *predecessor)
{
	v->predecessor = predecessor;
	/* Of a snapshot no table is written, so nobody asks.  Release: see map_walk_owned(). */
	if (!record_is_snapshot(&v->map.record))
		atomic_store_explicit(&v->map.predecessor,
				      predecessor == NULL ? NULL : &predecessor->map,
				      memory_order_release);
}

int volumes_open(struct kmemblk *h, const struct scan *scan)
{
	pthread_mutex_init(&h->volumes_lock, NULL);
	pthread_mutex_init(&h->changes_lock, NULL);
	pthread_cond_init(&h->volumes_left, NULL);
	h->volumes = calloc(directory_size(&h->super) + 1, sizeof(h->volumes[0]));
	if (h->volumes == NULL)
		return fail(ENOMEM, "open: %s: out of memory for volumes", h->device.path);
	for (unsigned int i = 0; i < scan->view_count; i++) {
		const struct scan_view *view = &scan->views[i];
		const struct record *record = &view->map.record;
		struct kmemblk_volume *v = volume_new(h, view->number, record, view->page);

		if (v == NULL)
			return -ENOMEM;
		v->map.used = view->used;
		v->map.tables = view->tables;
		v->map.owned = view->owned;
		v->map.owned_tables = view->owned_tables;
		v->map.may_have_empty = map_may_have_empty(&view->map);
		/* Of what it shares nothing was counted.  A snapshot is not changed, be there what may. */
		v->past = !record_is_snapshot(record) &&
			  (view->past > 0 ||
			   (view->predecessor != NULL && tree_names_past(&v->map, record->blocks)));
		/* What is wrong elsewhere may have to do with this one, too. */
		v->map.damaged = scan_found_damage(scan);
		h->volumes[view->number] = v;
	}
	for (unsigned int i = 0; i < scan->view_count; i++) {
		const struct scan_view *view = &scan->views[i];
		struct kmemblk_volume *v = h->volumes[view->number];

		if (view->volume != NULL)
			v->of = h->volumes[view->volume->number];
		if (view->predecessor != NULL)
			volume_set_predecessor(v, h->volumes[view->predecessor->number]);
	}
	return 0;
}

void volumes_close(struct kmemblk *h)
{
	if (h->volumes == NULL)
		return;
	for (unsigned int i = 0; i < directory_size(&h->super); i++)
		if (h->volumes[i] != NULL)
			volume_free(h->volumes[i]);
	free(h->volumes);
	h->volumes = NULL;
	pthread_mutex_destroy(&h->volumes_lock);
	pthread_mutex_destroy(&h->changes_lock);
	pthread_cond_destroy(&h->volumes_left);
}

void volume_describe(struct kmemblk_volume_info *info, const struct record *record, uint64_t used,
		     uint64_t owned)
{
	*info = (struct kmemblk_volume_info){
		.created = record->created,
		.blocks = record->blocks,
		.size_bytes = record->blocks << LAYOUT_PAGE_SHIFT,
		.pages_used = used,
		.pages_owned = owned,
		.is_snapshot = record_is_snapshot(record),
		.is_thin = record_is_thin(record),
	};
	uuid_unparse_lower(record->uuid, info->uuid);
}

struct kmemblk_volume *volume_default_locked(struct kmemblk *h)
{
	struct kmemblk_volume *only = NULL;
	unsigned int count = 0;

	for (unsigned int i = 0; i < directory_size(&h->super); i++) {
		struct kmemblk_volume *v = h->volumes[i];

		if (v == NULL || record_is_snapshot(&v->map.record))
			continue;
		if (v->map.record.flags & LAYOUT_RECORD_DEFAULT)
			return v;
		only = v;
		count++;
	}
	return count == 1 ? only : NULL;
}

void volume_name(struct kmemblk_volume *v, char name[VOLUME_NAME_SIZE])
{
	char own[LAYOUT_NAME_SIZE], volume[LAYOUT_NAME_SIZE];

	map_copy_name(&v->map, own);
	if (!v->map.is_snapshot) {
		snprintf(name, VOLUME_NAME_SIZE, "%s", own);
		return;
	}
	if (v->of == NULL)
		uuid_unparse_lower(v->map.record.volume, volume);
	else
		map_copy_name(&v->of->map, volume);
	snprintf(name, VOLUME_NAME_SIZE, "%s@%s", volume, own);
}

/* The names there are, for a message. */
static const char *list_names(const struct kmemblk *h, struct names *names)
{
	char name[VOLUME_NAME_SIZE];

	for (unsigned int i = 0; i < directory_size(&h->super); i++)
		if (h->volumes[i] != NULL) {
			volume_name(h->volumes[i], name);
			names_add(names, name);
		}
	return names_text(names);
}

/* One of the first `length` bytes of `name`: a volume, or with `snapshot` one of `of`, NULL: whose volume is not there. */
static struct kmemblk_volume *find_own(const struct kmemblk *h, bool snapshot,
				       const struct kmemblk_volume *of, const uint8_t *uuid,
				       const char *name, size_t length)
{
	for (unsigned int i = 0; i < directory_size(&h->super); i++) {
		struct kmemblk_volume *v = h->volumes[i];
		const struct record *record = v == NULL ? NULL : &v->map.record;

		if (record != NULL && record_is_snapshot(record) == snapshot && v->of == of &&
		    strlen(record->name) == length && memcmp(record->name, name, length) == 0 &&
		    (uuid == NULL || memcmp(record->volume, uuid, sizeof(uuid_t)) == 0))
			return v;
	}
	return NULL;
}

struct kmemblk_volume *volume_look_up_locked(const struct kmemblk *h, const char *name)
{
	const char *at = strchr(name, '@');
	size_t length = at == NULL ? strlen(name) : (size_t)(at - name);
	struct kmemblk_volume *v = find_own(h, false, NULL, NULL, name, length);
	char text[UUID_STR_LEN];
	uuid_t uuid;

	if (at == NULL)
		return v;
	if (v != NULL)
		return find_own(h, true, v, NULL, at + 1, strlen(at + 1));
	/* Its volume is not there. */
	if (length != sizeof(text) - 1)
		return NULL;
	memcpy(text, name, length);
	text[length] = '\0';
	if (uuid_parse(text, uuid) != 0)
		return NULL;
	return find_own(h, true, NULL, uuid, at + 1, strlen(at + 1));
}

struct kmemblk_volume *volume_find_locked(struct kmemblk *h, const char *what, const char *name)
{
	struct kmemblk_volume *v =
		name == NULL ? volume_default_locked(h) : volume_look_up_locked(h, name);
	struct names names = { 0 };

	if (v == NULL && name == NULL)
		fail(ENOENT, "%s: %s: name a volume; there are: %s", what, h->device.path,
		     list_names(h, &names));
	else if (v == NULL)
		fail(ENOENT, "%s: %s: there is no %s %.128s; there are: %s", what, h->device.path,
		     strchr(name, '@') == NULL ? "volume" : "snapshot", name,
		     list_names(h, &names));
	return v;
}

/* Its leaves are in memory while it has users, or the mover is in it. */
static int prepare_locked(struct kmemblk_volume *v)
{
	return v->map.leaf == NULL ? map_prepare(&v->map) : 0;
}

static void put_away_locked(struct kmemblk_volume *v)
{
	if (v->users == 0 && !v->held)
		map_put_away(&v->map);
}

int volume_use_locked(struct kmemblk_volume *v)
{
	int rc = prepare_locked(v);

	v->users += rc == 0;
	return rc;
}

void volume_unuse_locked(struct kmemblk_volume *v)
{
	v->users--;
	put_away_locked(v);
}

int volume_claim_locked(struct kmemblk_volume *v, const char *what)
{
	struct kmemblk *h = v->h;
	char name[VOLUME_NAME_SIZE];

	if (v->users > 0) {
		volume_name(v, name);
		return fail(EBUSY, "%s: %s: %s %s is open: it has %u user%s; let them end first",
			    what, h->device.path,
			    record_is_snapshot(&v->map.record) ? "snapshot" : "volume", name,
			    v->users, v->users == 1 ? "" : "s");
	}
	atomic_store_explicit(&v->leaving, true, memory_order_relaxed);
	while (v->held)
		pthread_cond_wait(&h->volumes_left, &h->volumes_lock);
	atomic_store_explicit(&v->leaving, false, memory_order_relaxed);
	/* The lock was open meanwhile. */
	if (v->users > 0)
		return volume_claim_locked(v, what);
	v->claimed = true;
	return 0;
}

void volumes_release_locked(struct kmemblk *h)
{
	for (unsigned int i = 0; i < directory_size(&h->super); i++)
		if (h->volumes[i] != NULL)
			h->volumes[i]->claimed = false;
	pthread_cond_broadcast(&h->volumes_left);
}

bool volumes_have_snapshots(struct kmemblk *h)
{
	bool some = false;

	pthread_mutex_lock(&h->volumes_lock);
	for (unsigned int i = 0; !some && i < directory_size(&h->super); i++)
		some = h->volumes[i] != NULL && h->volumes[i]->map.is_snapshot;
	pthread_mutex_unlock(&h->volumes_lock);
	return some;
}

struct kmemblk_volume *volume_visit_next(struct kmemblk *h, int number)
{
	struct kmemblk_volume *v = NULL;

	pthread_mutex_lock(&h->volumes_lock);
	for (unsigned int i = (unsigned int)(number + 1);
	     i < directory_size(&h->super) && v == NULL; i++) {
		v = h->volumes[i];
		/* What a snapshot has is not moved. */
		if (v == NULL || record_is_snapshot(&v->map.record) || v->claimed ||
		    atomic_load_explicit(&v->leaving, memory_order_relaxed) ||
		    prepare_locked(v) != 0)
			v = NULL;
		else
			v->held = true;
	}
	pthread_mutex_unlock(&h->volumes_lock);
	return v;
}

void volume_leave(struct kmemblk_volume *v)
{
	struct kmemblk *h = v->h;

	pthread_mutex_lock(&h->volumes_lock);
	v->held = false;
	put_away_locked(v);
	pthread_cond_broadcast(&h->volumes_left);
	pthread_mutex_unlock(&h->volumes_lock);
}
