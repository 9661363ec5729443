/* SPDX-License-Identifier: BSD-3-Clause */
/* helper.h - the threads that borrow for the heap.  See helper.c. */
#ifndef HELPER_H
#define HELPER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Where to borrow, and at most how many bytes.  `exchange` is called by the helper in its turn, when it can
 * borrow: 0 or -errno with message.  After heap_init().
 */
void helper_init(const char *socket, uint64_t limit, int (*exchange)(void));

/*
 * Start it, if the program has no helper yet, and may have one.  Not with heap.lock; it may call malloc.
 * 0 or -errno with message.
 */
int helper_start(void);
/* Start it, and wait until it has a connection, or none: 0 or -errno with message. */
int helper_start_and_wait(void);
/* True if there is none, and nothing is against one. */
bool helper_is_due(void);

/* How many threads it has. */
unsigned int helper_threads(void);

/*
 * The heap is made the program's own, by copying when it is stored to, and the threads end.  `for_good`: there
 * is to be none any more.  They are gone for the kernel too: who calls may be the only thread.
 */
void helper_end(bool for_good);

/*
 * Around fork(): first of all that prepares, then last, with the heap's lock from then on.  In the parent
 * and in the child.  False in the parent: the child could not be given the heap, and ends at once.
 */
void helper_before_fork_first(void);
void helper_before_fork_last(void);
bool helper_in_parent(void);
void helper_in_child(void);

#endif /* HELPER_H */
