/* SPDX-License-Identifier: BSD-3-Clause */
/* scan.h - read at open all that names a page.  See scan.c, scan-views.c and scan-persist.c. */
#ifndef SCAN_H
#define SCAN_H

#include <stdbool.h>

#include "map/found.h"

/*
 * Read all that a mapped device has: its volumes and their maps.  0, also if it is damaged; -ENOMEM with message.
 * In any case end it by scan_free().
 */
int scan_open(struct scan *scan, const struct device *device, const struct super *super);
void scan_free(struct scan *scan);

/*
 * Make durable what the scan found, before anything relies on it.  `super_kept`: the superblock, too.  0 or
 * -errno with message.
 */
int scan_persist(const struct scan *scan, const struct device *device, bool super_kept);

#endif /* SCAN_H */
