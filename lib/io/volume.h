/* SPDX-License-Identifier: BSD-3-Clause */
/* volume.h - the volumes of an open device.  See volume.c. */
#ifndef VOLUME_H
#define VOLUME_H

#include "io/handle.h"
#include "map/listing.h"
#include "map/scan.h"

/* Those that the scan found: 0 or -ENOMEM with message; volumes_close() in any case. */
int volumes_open(struct kmemblk *h, const struct scan *scan);
void volumes_close(struct kmemblk *h);

/* One more, of a record that is on `page`; NULL with message. */
struct kmemblk_volume *volume_new(struct kmemblk *h, unsigned int number,
				  const struct record *record, uint64_t page);
/* Of what it shares tables with; NULL: nothing.  Of a volume that is in use with its gate closed. */
void volume_set_predecessor(struct kmemblk_volume *v, struct kmemblk_volume *predecessor);
/* Nobody uses it. */
void volume_free(struct kmemblk_volume *v);

/*
 * What a record says, for people: `used` pages hold its blocks, `owned` ones nothing older has.  Its name, what it was
 * made from, whether it is the default, and its users are left empty.
 */
void volume_describe(struct kmemblk_volume_info *info, const struct record *record, uint64_t used,
		     uint64_t owned);

/* VOLUME, VOLUME@SNAPSHOT, or UUID@SNAPSHOT.  Not with map.lock of either, nor in a section. */
#define VOLUME_NAME_SIZE LISTING_NAME_SIZE
void volume_name(struct kmemblk_volume *v, char name[VOLUME_NAME_SIZE]);

/* These with h->volumes_lock. */

/* By its name; NULL without message: it is not there. */
struct kmemblk_volume *volume_look_up_locked(const struct kmemblk *h, const char *name);
/* By its name, or with NULL the one that is meant where none is named.  NULL with message: -ENOENT. */
struct kmemblk_volume *volume_find_locked(struct kmemblk *h, const char *what, const char *name);
/* The second without a message. */
struct kmemblk_volume *volume_default_locked(struct kmemblk *h);
/* Another user of it, and one fewer.  0 or -ENOMEM with message. */
int volume_use_locked(struct kmemblk_volume *v);
void volume_unuse_locked(struct kmemblk_volume *v);
/*
 * 0, or -EBUSY with message if somebody has it open.  The mover is not in it then, and who wants to open it waits until
 * the change ends and all that it has claimed is free again.  Lets go of the lock while the mover is in it.
 */
int volume_claim_locked(struct kmemblk_volume *v, const char *what);
void volumes_release_locked(struct kmemblk *h);

/* For the mover: true if there is a snapshot, whose pages are not moved. */
bool volumes_have_snapshots(struct kmemblk *h);
/* For the mover: the next volume after `number` (-1: the first), which it has until it leaves it; or NULL. */
struct kmemblk_volume *volume_visit_next(struct kmemblk *h, int number);
void volume_leave(struct kmemblk_volume *v);

#endif /* VOLUME_H */
