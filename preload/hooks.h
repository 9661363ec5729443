/* SPDX-License-Identifier: BSD-3-Clause */
/* hooks.h - where jemalloc's memory comes from.  See hooks.c. */
#ifndef HOOKS_H
#define HOOKS_H

#include <stddef.h>

/* jemalloc's mallctl(3). */
typedef int mallctl_function(const char *name, void *old, size_t *old_size, void *new,
			     size_t new_size);

/* The memory of this jemalloc's arenas comes from the heap from now on: 0 or -errno. */
int hooks_set(mallctl_function *jemallocs);

/* After that: what it has kept for long enough is given up; all that it keeps is. */
void hooks_decay(void);
void hooks_purge(void);

#endif /* HOOKS_H */
