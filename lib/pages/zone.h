/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zone.h - a zone is lent to another process as a whole (lend/loans.c).
 */
#ifndef ZONE_H
#define ZONE_H

#include <stdint.h>

#include "pages/pool.h"

/*
 * Lend a whole zone, with storage, zeroed.  Lets go of the lock meanwhile.  0 and its first page; -ENOMEM if
 * none is whole or may be lent; another -errno.
 */
int zone_lend_locked(struct pool *pool, uint64_t *first);

/* At open: take the zones that borrowers of an earlier server still have.  0 or -errno, message. */
int zone_adopt_locked(struct pool *pool);

#endif /* ZONE_H */
