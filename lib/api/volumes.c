/* SPDX-License-Identifier: BSD-3-Clause */
/* volumes.c - open, close and describe volumes. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "io/volume.h"
#include "map/directory.h"

int kmemblk_volume_open(struct kmemblk *h, const char *name, struct kmemblk_volume **volume)
{
	struct kmemblk_volume *v;
	int rc = -ENOENT;

	pthread_mutex_lock(&h->volumes_lock);
	/* What is being changed may have another name afterwards, or be gone. */
	while ((v = volume_find_locked(h, "open", name)) != NULL && v->claimed)
		pthread_cond_wait(&h->volumes_left, &h->volumes_lock);
	if (v != NULL)
		rc = volume_use_locked(v);
	pthread_mutex_unlock(&h->volumes_lock);
	if (rc == 0)
		*volume = v;
	return rc;
}

void kmemblk_volume_close(struct kmemblk_volume *v)
{
	struct kmemblk *h;

	if (v == NULL)
		return;
	h = v->h;
	pthread_mutex_lock(&h->volumes_lock);
	volume_unuse_locked(v);
	pthread_mutex_unlock(&h->volumes_lock);
}

/* `meant`: the volume that is meant where none is named. */
static void describe_locked(struct kmemblk_volume *v, const struct kmemblk_volume *meant,
			    struct kmemblk_volume_info *info)
{
	const struct kmemblk_volume *origin = v->predecessor, *of;

	/* Relaxed: for people. */
	volume_describe(info, &v->map.record,
			atomic_load_explicit(&v->map.used, memory_order_relaxed),
			map_owns(&v->map));
	volume_name(v, info->name);
	while (origin != NULL && origin->of == v)
		origin = origin->predecessor;
	of = origin == NULL ? NULL : origin->of;
	listing_origin(&v->map.record, origin == NULL ? NULL : &origin->map.record,
		       of == NULL ? NULL : &of->map.record, info->origin);
	info->is_default = v == meant;
	info->users = (int)v->users;
}

void kmemblk_volume_get_info(struct kmemblk_volume *v, struct kmemblk_volume_info *info)
{
	pthread_mutex_lock(&v->h->volumes_lock);
	describe_locked(v, volume_default_locked(v->h), info);
	pthread_mutex_unlock(&v->h->volumes_lock);
}

static int list_locked(struct kmemblk *h, struct listing_entry *entry, kmemblk_volume_fn fn,
		       void *opaque)
{
	const struct kmemblk_volume *meant = volume_default_locked(h);
	struct kmemblk_volume_info info;
	unsigned int count = 0;
	int rc = 0;

	for (unsigned int i = 0; i < directory_size(&h->super); i++) {
		const struct kmemblk_volume *v = h->volumes[i], *of = v == NULL ? NULL : v->of;

		if (v != NULL)
			entry[count++] = (struct listing_entry){
				.record = &v->map.record,
				.number = i,
				.volume_number = listing_place(&v->map.record, i,
							       of == NULL ? NULL : &of->number),
				.volume = of == NULL ? NULL : &of->map.record,
				.view = v,
			};
	}
	listing_sort(entry, count);
	for (unsigned int i = 0; rc == 0 && i < count; i++) {
		describe_locked(h->volumes[entry[i].number], meant, &info);
		rc = fn(opaque, &info);
	}
	return rc;
}

int kmemblk_volume_list(struct kmemblk *h, kmemblk_volume_fn fn, void *opaque)
{
	struct listing_entry *entry = calloc(directory_size(&h->super) + 1u, sizeof(entry[0]));
	int rc;

	if (entry == NULL)
		return fail(ENOMEM, "list: %s: out of memory", h->device.path);
	pthread_mutex_lock(&h->volumes_lock);
	rc = list_locked(h, entry, fn, opaque);
	pthread_mutex_unlock(&h->volumes_lock);
	free(entry);
	return rc;
}
