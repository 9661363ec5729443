/* SPDX-License-Identifier: BSD-3-Clause */
/* volume.h - the volumes of an open device.  See volume.c. */
#ifndef VOLUME_H
#define VOLUME_H

#include "io/handle.h"
#include "map/scan.h"

/* Those that the scan found: 0 or -ENOMEM with message; volumes_close() in any case. */
int volumes_open(struct kmemblk *h, const struct scan *scan);
void volumes_close(struct kmemblk *h);

/* One more, of a record that is on `page`; NULL with message. */
struct kmemblk_volume *volume_new(struct kmemblk *h, unsigned int number,
				  const struct record *record, uint64_t page);
/* Nobody uses it. */
void volume_free(struct kmemblk_volume *v);

/* What a record says, for people; whether it is the default and has users is left 0. */
void volume_describe(struct kmemblk_volume_info *info, const struct record *record, uint64_t used);

/* These with h->volumes_lock. */

unsigned int volumes_count_locked(const struct kmemblk *h);
/* By its name, or with NULL the one that is meant where none is named.  NULL with message: -ENOENT. */
struct kmemblk_volume *volume_find_locked(struct kmemblk *h, const char *what, const char *name);
/* The second without a message. */
struct kmemblk_volume *volume_default_locked(struct kmemblk *h);
/* Another user of it, and one fewer.  0 or -ENOMEM with message. */
int volume_use_locked(struct kmemblk_volume *v);
void volume_unuse_locked(struct kmemblk_volume *v);
/* 0, or -EBUSY with message if somebody has it open.  The mover is not in it then. */
int volume_claim_locked(struct kmemblk_volume *v, const char *what);

/* For the mover: the next volume after `number` (-1: the first), which it has until it leaves it; or NULL. */
struct kmemblk_volume *volume_visit_next(struct kmemblk *h, int number);
void volume_leave(struct kmemblk_volume *v);

#endif /* VOLUME_H */
