/* SPDX-License-Identifier: BSD-3-Clause */
/* allocator.h - the program's malloc.  See allocator.c. */
#ifndef ALLOCATOR_H
#define ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

/*
 * With the heap, and before the helper: the program's own malloc is watched from now on, or given its hooks if
 * it is jemalloc.  0 or -errno with message.
 */
int allocator_init(void);

/* All that is allocated from now on is in the heap.  For the helper, in its turn: 0 or -errno with message. */
int allocator_exchange(void);

/* True for code of the malloc that the program would have without us. */
bool allocator_has_code(const void *code);

/* How much memory the program had from that malloc at the most: about, and 0 if it has hooks. */
size_t allocator_most(void);

#endif /* ALLOCATOR_H */
