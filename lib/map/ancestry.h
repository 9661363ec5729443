/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ancestry.h - which view comes before which.
 *
 * The predecessor of a snapshot is the next older one of its volume; of a volume, its newest snapshot; of the oldest
 * of these, the snapshot that the volume is a clone of.  It follows from the records: nothing on media points from
 * one to another.
 */
#ifndef ANCESTRY_H
#define ANCESTRY_H

#include "map/found.h"
#include "map/listing.h"

/* Told of a view: one sentence, which begins with its name. */
typedef void (*ancestry_problem_fn)(void *opaque, const struct scan_view *view, const char *text);

/*
 * Find the volume of each snapshot, and the predecessor of each view.  What is wrong is told by `problem`; a view that
 * cannot share tables with its predecessor, or comes before itself, then has none.  -ENOMEM without message, else 0.
 */
int ancestry_find(struct scan_view *views, unsigned int count, ancestry_problem_fn problem,
		  void *opaque);

/* VOLUME, or VOLUME@SNAPSHOT; UUID@SNAPSHOT if that volume is not there.  For after ancestry_find(). */
void ancestry_name(const struct scan_view *view, char name[LISTING_NAME_SIZE]);

#endif /* ANCESTRY_H */
