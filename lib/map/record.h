/* SPDX-License-Identifier: BSD-3-Clause */
/* record.h - the page that describes a volume, from media to a checked struct and back.  See record.c. */
#ifndef RECORD_H
#define RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "media/device.h"
#include "media/layout.h"

/* A record that has passed every check, in the CPU's byte order, without its root. */
struct record {
	uint64_t blocks;
	uint64_t family;
	uint64_t created;
	unsigned int height;
	uint32_t flags; /* LAYOUT_RECORD_* */
	uint8_t uuid[16];
	/* See struct layout_record; zero where there is none. */
	uint8_t volume[16];
	uint8_t origin[16];
	uint64_t sequence;
	char name[LAYOUT_NAME_SIZE];
};

/* What is wrong with one, in words that fit after a colon. */
struct record_verdict {
	char reason[120];
};

/*
 * Read and check the record on a data page of a mapped device.  False if it is not one, and then the verdict
 * says why.  Sets no message.
 */
bool record_read(const struct device *device, uint64_t page, struct record *record,
		 struct record_verdict *verdict);

/* Write a record, and drain.  0 or -errno with message; *unflushed as for guard_write(). */
int record_write(const struct device *device, uint64_t page, const struct record *record,
		 uint64_t root, enum pm_order order, bool *unflushed);

/* Where its root entry is. */
_Atomic uint64_t *record_root(const struct device *device, uint64_t page);

/* Tables of a level in a map of so many blocks, whose leaves have all been made. */
static inline uint64_t record_tables(uint64_t blocks, unsigned int level)
{
	unsigned int shift = LAYOUT_TABLE_SHIFT * level;

	return (blocks >> shift) + ((blocks & ((1ull << shift) - 1)) != 0);
}

/* Levels that so many blocks need; and all their tables. */
unsigned int record_height(uint64_t blocks);
uint64_t record_all_tables(uint64_t blocks);

static inline bool record_is_snapshot(const struct record *record)
{
	return record->flags & LAYOUT_RECORD_SNAPSHOT;
}

static inline bool record_is_thin(const struct record *record)
{
	return record->flags & LAYOUT_RECORD_THIN;
}

/* The uuid of the volume that a record is of: its own, or that of the snapshot's. */
static inline const uint8_t *record_volume(const struct record *record)
{
	return record_is_snapshot(record) ? record->volume : record->uuid;
}

/* True for what may name a volume or a snapshot. */
bool record_name_is_valid(const char *name);

#endif /* RECORD_H */
