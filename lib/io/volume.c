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
#include "io/volume.h"
#include "map/directory.h"

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

int volumes_open(struct kmemblk *h, const struct scan *scan)
{
	pthread_mutex_init(&h->volumes_lock, NULL);
	pthread_cond_init(&h->volumes_left, NULL);
	h->volumes = calloc(directory_size(&h->super) + 1, sizeof(h->volumes[0]));
	if (h->volumes == NULL)
		return fail(ENOMEM, "open: %s: out of memory for volumes", h->device.path);
	for (unsigned int i = 0; i < scan->view_count; i++) {
		const struct scan_view *view = &scan->views[i];
		struct kmemblk_volume *v =
			volume_new(h, view->number, &view->map.record, view->page);

		if (v == NULL)
			return -ENOMEM;
		v->used = view->used;
		v->past = view->past > 0;
		/* What is wrong elsewhere may have to do with this one, too. */
		v->map.damaged = scan_found_damage(scan);
		h->volumes[view->number] = v;
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
	pthread_cond_destroy(&h->volumes_left);
}

void volume_describe(struct kmemblk_volume_info *info, const struct record *record, uint64_t used)
{
	*info = (struct kmemblk_volume_info){
		.created = record->created,
		.blocks = record->blocks,
		.size_bytes = record->blocks << LAYOUT_PAGE_SHIFT,
		.pages_used = used,
	};
	memcpy(info->name, record->name, sizeof(info->name));
	uuid_unparse_lower(record->uuid, info->uuid);
}

unsigned int volumes_count_locked(const struct kmemblk *h)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < directory_size(&h->super); i++)
		count += h->volumes[i] != NULL;
	return count;
}

struct kmemblk_volume *volume_default_locked(struct kmemblk *h)
{
	struct kmemblk_volume *only = NULL;
	unsigned int count = 0;

	for (unsigned int i = 0; i < directory_size(&h->super); i++) {
		struct kmemblk_volume *v = h->volumes[i];

		if (v == NULL)
			continue;
		if (v->map.record.flags & LAYOUT_RECORD_DEFAULT)
			return v;
		only = v;
		count++;
	}
	return count == 1 ? only : NULL;
}

/* The names there are, for a message. */
static const char *list_names(const struct kmemblk *h, char *names, size_t size)
{
	size_t at = 0;

	snprintf(names, size, "none");
	for (unsigned int i = 0; i < directory_size(&h->super) && at < size; i++)
		if (h->volumes[i] != NULL)
			at += (size_t)snprintf(names + at, size - at, "%s%s", at > 0 ? ", " : "",
					       h->volumes[i]->map.record.name);
	return names;
}

struct kmemblk_volume *volume_find_locked(struct kmemblk *h, const char *what, const char *name)
{
	struct kmemblk_volume *v = name == NULL ? volume_default_locked(h) : NULL;
	char names[200];

	for (unsigned int i = 0; name != NULL && v == NULL && i < directory_size(&h->super); i++)
		if (h->volumes[i] != NULL && strcmp(h->volumes[i]->map.record.name, name) == 0)
			v = h->volumes[i];
	if (v == NULL && name == NULL)
		fail(ENOENT, "%s: %s: name a volume; there are: %s", what, h->device.path,
		     list_names(h, names, sizeof(names)));
	else if (v == NULL)
		fail(ENOENT, "%s: %s: there is no volume %.64s; there are: %s", what,
		     h->device.path, name, list_names(h, names, sizeof(names)));
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

	if (v->users > 0)
		return fail(EBUSY, "%s: %s: volume %s is open: it has %u users; let them end first",
			    what, h->device.path, v->map.record.name, v->users);
	atomic_store_explicit(&v->leaving, true, memory_order_relaxed);
	while (v->held)
		pthread_cond_wait(&h->volumes_left, &h->volumes_lock);
	atomic_store_explicit(&v->leaving, false, memory_order_relaxed);
	/* The lock was open meanwhile. */
	return v->users == 0 ? 0 : volume_claim_locked(v, what);
}

struct kmemblk_volume *volume_visit_next(struct kmemblk *h, int number)
{
	struct kmemblk_volume *v = NULL;

	pthread_mutex_lock(&h->volumes_lock);
	for (unsigned int i = (unsigned int)(number + 1);
	     i < directory_size(&h->super) && v == NULL; i++) {
		v = h->volumes[i];
		if (v == NULL || atomic_load_explicit(&v->leaving, memory_order_relaxed) ||
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
