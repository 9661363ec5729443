/* SPDX-License-Identifier: BSD-3-Clause */
/* environment.h - how `kmemblk run` tells libkmemblk-preload.so what to do. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

/* Path of the lending server's socket. */
#define ENVIRONMENT_SOCKET "KMEMBLK_RUN_SOCKET"
/* The process that is meant. */
#define ENVIRONMENT_PID "KMEMBLK_RUN_PID"
/* At most so many bytes, if it is set. */
#define ENVIRONMENT_LIMIT "KMEMBLK_RUN_LIMIT"
/* No ordinary memory, if it is set. */
#define ENVIRONMENT_STRICT "KMEMBLK_RUN_STRICT"
/* At the end say how much was borrowed, if it is set. */
#define ENVIRONMENT_VERBOSE "KMEMBLK_RUN_VERBOSE"

/* How many of jemalloc's arenas there are; few, since each has memory of its own that nobody else can use. */
#define ARENAS	      2
#define ARENAS_OPTION "narenas:2"
/*
 * No arena for large allocations, which would be made later, without our hooks.  And what is unused must
 * come back to us.
 */
#define JEMALLOC_OPTIONS ARENAS_OPTION ",percpu_arena:disabled,oversize_threshold:0,retain:false"

/* The exit status with strict when nothing can be borrowed: as `kmemblk run` itself. */
#define ENVIRONMENT_FAILED 8

#endif /* ENVIRONMENT_H */
