/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own-shm.h - a /dev/shm of the test's own, as small as it wants, which it can fill.
 *
 * In a user and a mount namespace, which end with the test: nobody else sees it, and it needs no
 * root.  Whoever is full of what he cannot have meets there what a memory limit does: a page that
 * cannot be had at the load or the store that needs it.
 */
#ifndef OWN_SHM_H
#define OWN_SHM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Mount a tmpfs of `bytes` on /dev/shm.  Call it first of all, before there are threads.  False,
 * with a sentence to stderr, where that is not allowed: the test is to exit with 77.
 */
bool own_shm(uint64_t bytes);

/* Somebody else takes all that is left; and gives some pages back.  False if that failed. */
bool own_shm_fill(void);
bool own_shm_give_back(unsigned int pages);

/* Pages that are left. */
uint64_t own_shm_left(void);

/* Somebody punches a page of the file at `path`, and the room is taken at once. */
bool own_shm_punch(const char *path, uint64_t page);

#endif /* OWN_SHM_H */
