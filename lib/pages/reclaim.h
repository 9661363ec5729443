/* SPDX-License-Identifier: BSD-3-Clause */
/* reclaim.h - the reclaimer: takes retired pages through a grace period.  See reclaim.c. */
#ifndef RECLAIM_H
#define RECLAIM_H

#include <stdint.h>

#include "pages/pool.h"

/* Start and end the thread.  0 or -errno with message. */
int reclaim_start(struct pool *pool);
void reclaim_stop(struct pool *pool);

/* Pages that have been retired and not yet reclaimed; takes locks. */
uint64_t reclaim_count_retired(struct pool *pool);

#endif /* RECLAIM_H */
