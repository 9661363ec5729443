/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zone.h - a zone is lent to another process as a whole (lend/loans.c).
 *
 * On a device with holes what the borrower gets is a file of its own, and the zone loses its storage, so
 * that the file can have it.  On devdax it is the zone itself.
 */
#ifndef ZONE_H
#define ZONE_H

#include <stdint.h>

#include "pages/pool.h"

/*
 * Lend a whole zone: without storage, or on devdax zeroed.  Storage that punch=false keeps with the
 * device is not taken.  Lets go of the lock meanwhile.  0 and its first page; -ENOMEM if none is whole or
 * may be lent; another -errno.
 */
int zone_lend_locked(struct pool *pool, uint64_t *first);

/* The end of the loan of the zone that begins with this page. */
void zone_return_locked(struct pool *pool, uint64_t first);

/*
 * At open, on devdax: take the zones that borrowers of an earlier server still have.  0 or -errno,
 * message.
 */
int zone_adopt_locked(struct pool *pool);
/*
 * The same elsewhere, of a zone whose file a borrower still has: its pages without storage.  The others
 * have become the disk's meanwhile, which is no harm: the file system owns the file.
 */
void zone_adopt_file_locked(struct pool *pool, uint64_t first);

#endif /* ZONE_H */
