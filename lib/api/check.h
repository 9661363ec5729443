/* SPDX-License-Identifier: BSD-3-Clause */
/* check.h - what the parts of the check share.  See check.c, check-map.c and check-directory.c. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "kmemblk.h"
#include "map/super.h"
#include "media/badblocks.h"
#include "media/device.h"

struct checking {
	struct device device;
	struct super super;
	struct badblocks bad; /* as the system knows */
	const struct kmemblk_check_options *options;
	struct kmemblk_check_result *result;
	bool repair;
};

/* Count a finding and tell it. */
void check_found(struct checking *c, enum kmemblk_finding_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Before any correction: that this version knows all it would be writing about.  0 or -errno with message. */
int check_may_repair(const struct checking *c);

/* What a scan has found wrong with the directory, told and mended so far. */
struct directory_check {
	struct checking *c;
	uint64_t left, unreadable, correctable, corrected; /* findings, told or counted */
	int rc; /* of a correction that failed: -errno with message */
};

struct scan_problem;

/* For a scan's `directory_problem`; and then the rest. */
bool check_directory(void *opaque, const struct scan_problem *problem);
void check_directory_end(struct directory_check *d);

/* Check the map of a device whose superblock is in c->super.  0 or -errno with message. */
int check_map(struct checking *c);

#endif /* CHECK_H */
