/* SPDX-License-Identifier: BSD-3-Clause */
/* listing.c - the order in which volumes and snapshots are listed, and their names.  See listing.h. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "map/listing.h"

#define UUID_SIZE 16

static int by_place(const void *a, const void *b)
{
	const struct listing_entry *x = a, *y = b;
	int order = (x->volume_number > y->volume_number) - (x->volume_number < y->volume_number);

	if (order == 0)
		order = memcmp(record_volume(x->record), record_volume(y->record), UUID_SIZE);
	if (order == 0)
		order = record_is_snapshot(x->record) - record_is_snapshot(y->record);
	if (order == 0)
		order = (x->record->sequence > y->record->sequence) -
			(x->record->sequence < y->record->sequence);
	return order;
}

void listing_sort(struct listing_entry *entry, unsigned int count)
{
	qsort(entry, count, sizeof(entry[0]), by_place);
}

void listing_name(const struct record *record, const struct record *volume,
		  char name[LISTING_NAME_SIZE])
{
	char uuid[UUID_STR_LEN];

	if (!record_is_snapshot(record)) {
		snprintf(name, LISTING_NAME_SIZE, "%s", record->name);
		return;
	}
	uuid_unparse_lower(record->volume, uuid);
	snprintf(name, LISTING_NAME_SIZE, "%s@%s", volume == NULL ? uuid : volume->name,
		 record->name);
}

bool listing_is_clone(const struct record *record)
{
	static const uint8_t none[UUID_SIZE];

	return !record_is_snapshot(record) && memcmp(record->origin, none, UUID_SIZE) != 0;
}

void listing_origin(const struct record *record, const struct record *origin,
		    const struct record *origin_volume, char name[LISTING_NAME_SIZE])
{
	name[0] = '\0';
	if (!listing_is_clone(record))
		return;
	if (origin == NULL)
		uuid_unparse_lower(record->origin, name);
	else
		listing_name(origin, origin_volume, name);
}
