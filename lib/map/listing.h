/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listing.h - the order in which volumes and snapshots are listed, and their names.
 *
 * Volumes come in the order of the directory, each followed by its snapshots, the oldest first.  Snapshots whose volume
 * is not there come last.  A record holds only its own part of a name.
 */
#ifndef LISTING_H
#define LISTING_H

#include <limits.h>

#include "map/record.h"

/* NAME; VOLUME@NAME for a snapshot, or UUID@NAME if its volume is not there. */
#define LISTING_NAME_SIZE (2 * LAYOUT_NAME_SIZE)

struct listing_entry {
	const struct record *record;
	unsigned int number;	     /* in the directory ... */
	unsigned int volume_number;  /* ... and of whose snapshot it is; else its own */
	const struct record *volume; /* whose snapshot it is; NULL: none's, or that is not there */
	const void *view;	     /* of the caller's */
};

/* What volume_number is; `volume`: the number of whose snapshot it is, or NULL. */
static inline unsigned int listing_place(const struct record *record, unsigned int number,
					 const unsigned int *volume)
{
	if (!record_is_snapshot(record))
		return number;
	return volume == NULL ? UINT_MAX : *volume;
}

void listing_sort(struct listing_entry *entry, unsigned int count);

/* The name of a record; `volume`: of a snapshot, or NULL. */
void listing_name(const struct record *record, const struct record *volume,
		  char name[LISTING_NAME_SIZE]);

/* True for a volume that was made from a snapshot. */
bool listing_is_clone(const struct record *record);

/* The name of the snapshot that it was made from, or its uuid if that is not there; "" if there is none. */
void listing_origin(const struct record *record, const struct record *origin,
		    const struct record *origin_volume, char name[LISTING_NAME_SIZE]);

#endif /* LISTING_H */
