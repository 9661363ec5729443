/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * disk.h - the volume that is meant where none is named, of an open device: most tests are about one disk.
 */
#ifndef TEST_DISK_H
#define TEST_DISK_H

#include <stdio.h>
#include <stdlib.h>

#include "io/volume.h"

/* In use from the first call until the device is closed; aborts if there is none. */
static inline struct kmemblk_volume *disk_of(struct kmemblk *h)
{
	struct kmemblk_volume *v;

	pthread_mutex_lock(&h->volumes_lock);
	v = volume_find_locked(h, "test", NULL);
	if (v == NULL || (v->users == 0 && volume_use_locked(v) != 0)) {
		fprintf(stderr, "%s\n", kmemblk_error());
		abort();
	}
	pthread_mutex_unlock(&h->volumes_lock);
	return v;
}

static inline uint64_t disk_blocks(struct kmemblk *h)
{
	return map_blocks(&disk_of(h)->map);
}

/*
 * The same, when it is in use already and nobody changes which volumes there are: takes no lock, so that threads
 * that are to be seen racing are not put in order by it.
 */
static inline struct kmemblk_volume *disk_in_use(struct kmemblk *h)
{
	return volume_default_locked(h);
}

#endif /* TEST_DISK_H */
