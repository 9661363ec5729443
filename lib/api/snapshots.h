/* SPDX-License-Identifier: BSD-3-Clause */
/* snapshots.h - delete views.  See snapshot-delete.c.  With h->volumes_lock. */
#ifndef SNAPSHOTS_H
#define SNAPSHOTS_H

#include "io/handle.h"
#include "map/doomed.h"

/* 0 if a snapshot can be deleted, which is claimed then; -EBUSY with message: it is open, or a clone was made from it. */
int snapshot_check_locked(struct kmemblk_volume *snapshot, const char *what);
/* Delete a snapshot that nobody has open, and free what only it has; 0 or -errno with message. */
int snapshot_delete_locked(struct kmemblk_volume *snapshot);

/* Of a volume that has been claimed: 0 if it has no snapshots, else -EBUSY with a message that names them. */
int snapshot_check_none_locked(const struct kmemblk_volume *v);
/*
 * Delete all its snapshots, the newest first.  0, or -errno with message; -EBUSY before anything is deleted if
 * somebody has one open, or if a clone was made from one.
 */
int snapshot_delete_all_locked(struct kmemblk_volume *v);

/* The same of a volume that has no snapshots and has been claimed. */
int snapshot_retire_volume_locked(struct kmemblk_volume *v);

/* Mark what a map owns and its successor (NULL: none) does not name.  False: some of it could not be read. */
bool snapshot_mark_owned(struct doomed *doomed, const struct map *map, const struct map *successor);

/* Retire all that is marked; between reserve_unmap_begin() and end. */
struct snapshot_retired {
	uint64_t tables, blocks; /* pages */
};
void snapshot_retire_marked(struct kmemblk *h, const struct doomed *doomed,
			    struct snapshot_retired *retired);

#endif /* SNAPSHOTS_H */
