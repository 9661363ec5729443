/* SPDX-License-Identifier: BSD-3-Clause */
/* volumes.c - open, close and describe volumes. */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "io/volume.h"
#include "map/directory.h"

int kmemblk_volume_open(struct kmemblk *h, const char *name, struct kmemblk_volume **volume)
{
	struct kmemblk_volume *v;
	int rc = -ENOENT;

	pthread_mutex_lock(&h->volumes_lock);
	v = volume_find_locked(h, "open", name);
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

static void describe_locked(const struct kmemblk_volume *v, struct kmemblk_volume_info *info)
{
	/* Relaxed: for people. */
	volume_describe(info, &v->map.record, atomic_load_explicit(&v->used, memory_order_relaxed));
	info->is_default = v == volume_default_locked(v->h);
	info->users = (int)v->users;
}

void kmemblk_volume_get_info(struct kmemblk_volume *v, struct kmemblk_volume_info *info)
{
	pthread_mutex_lock(&v->h->volumes_lock);
	describe_locked(v, info);
	pthread_mutex_unlock(&v->h->volumes_lock);
}

int kmemblk_volume_list(struct kmemblk *h, kmemblk_volume_fn fn, void *opaque)
{
	struct kmemblk_volume_info info;
	int rc = 0;

	pthread_mutex_lock(&h->volumes_lock);
	for (unsigned int i = 0; rc == 0 && i < directory_size(&h->super); i++) {
		if (h->volumes[i] == NULL)
			continue;
		describe_locked(h->volumes[i], &info);
		rc = fn(opaque, &info);
	}
	pthread_mutex_unlock(&h->volumes_lock);
	return rc;
}
