/* SPDX-License-Identifier: BSD-3-Clause */
/* storage.h - give free pages storage, and take it away.  See storage.c. */
#ifndef STORAGE_H
#define STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "pages/pool.h"

/* Pages given storage at a time, at most, where the file system has room. */
#define POPULATE_PAGES 512u

/*
 * These let go of the lock around system calls.  Give storage to between one and `most` absent pages; 0, or
 * -errno without message: -ENOSPC also when there are none.
 */
int storage_populate_locked(struct pool *pool, uint64_t most);
/*
 * Give storage to some more, for a writer that is short: 1, also after others did, or left some.  0
 * if so many have it, or will in a moment, that more would be taken away again.
 */
int storage_populate_more_locked(struct pool *pool);
/* Give storage to what so many blocks need, their share of the spare included. */
int storage_populate_for_locked(struct pool *pool, uint64_t blocks);

/*
 * Take resident pages' storage away, at most `most` of them, in one run, but not what reservations need.
 * Their number; 0 if there are none to spare; -errno if the device refuses.
 */
int64_t storage_punch_locked(struct pool *pool, uint64_t most);

/*
 * At open, when storage_populate_for_locked() failed: the same out of storage that the file has had all
 * along, which takes nothing from its file system.  False if there is not enough.
 */
bool storage_find_locked(struct pool *pool, uint64_t blocks);

/*
 * At start, before any thread: take away what free pages have had all along, if it is more than they
 * should have.  What fails costs memory, and nothing else.
 */
void storage_punch_unwritten(struct pool *pool);

#endif /* STORAGE_H */
