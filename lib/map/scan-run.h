/* SPDX-License-Identifier: BSD-3-Clause */
/* scan-run.h - what the parts of a scan share.  See scan.c and scan-views.c. */
#ifndef SCAN_RUN_H
#define SCAN_RUN_H

#include <pthread.h>

#include "map/found.h"

/* Shared by the threads of one scan. */
struct scan_run {
	struct scan *scan;
	const struct device *device;
	const struct super *super;
	uint32_t *by_name; /* numbers of views, plus 1, by the hash of their names */
	uint32_t by_name_mask;
	pthread_mutex_t lock;  /* around scan->damaged, and the sums in *scan */
	_Atomic uint64_t next; /* leaf: its number among them */
	bool out_of_memory;
};

/* Note a page with entries, before the first look at it. */
void scan_note_page(struct scan_run *run, struct scan_page page);

/* Find all volumes and snapshots, and who comes before whom. */
void scan_find_views(struct scan_run *run);

#endif /* SCAN_RUN_H */
