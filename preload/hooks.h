/* SPDX-License-Identifier: BSD-3-Clause */
/* hooks.h - where jemalloc's memory comes from.  See hooks.c. */
#ifndef HOOKS_H
#define HOOKS_H

/* An arena's memory comes from the heap from now on: 0 or -errno. */
int hooks_set(unsigned int arena);
/* Likewise that of the arenas that are not the first, when `caller`, code, makes a thread. */
void hooks_for_threads(const void *caller);

#endif /* HOOKS_H */
