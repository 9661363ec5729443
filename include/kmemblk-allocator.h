/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kmemblk-allocator.h - a module that the nbdkit plugin loads to use the disk's free memory.
 *
 * `nbdkit kmemblk PATH allocator=MODULE.so` loads a shared object with one function,
 * kmemblk_allocator().  What the module does with the memory is its own affair: serve other parts
 * of the same nbdkit process, cache, compute.  It needs no library of kmemblk's: what it may call
 * is handed to it.  examples/allocator.c is a whole one.
 */
#ifndef KMEMBLK_ALLOCATOR_H
#define KMEMBLK_ALLOCATOR_H

#include "kmemblk.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KMEMBLK_ALLOCATOR_VERSION 1

/* What an allocator may call, at any time between start and stop, from any thread. */
struct kmemblk_allocator_calls {
	struct kmemblk *device;
	/* kmemblk_borrow(), kmemblk_return() and kmemblk_error(). */
	int (*borrow)(struct kmemblk *device, size_t length, size_t alignment, void **memory);
	int (*give_back)(struct kmemblk *device, void *memory, size_t length);
	const char *(*error)(void);
};

struct kmemblk_allocator {
	unsigned int version; /* KMEMBLK_ALLOCATOR_VERSION */
	/*
	 * Before anything else, in the process that serves, which may start threads and borrow now.
	 * `calls` holds until stop.  0, or a negative errno: the server then ends.
	 */
	int (*start)(const struct kmemblk_allocator_calls *calls);
	/*
	 * As in struct kmemblk_memory_user; either may be NULL.  Never called before start has
	 * returned, nor while stop runs or after it.
	 */
	int (*offer)(void *opaque, void *memory, size_t length);
	int (*recall)(void *opaque, size_t length);
	void *opaque;
	/*
	 * The server ends: after this nothing that was borrowed may be touched.  May be NULL.  Not
	 * sure to be called: a server may be killed.
	 */
	void (*stop)(void);
};

/* The module's one function.  What it returns is never changed or freed; NULL: it cannot run. */
const struct kmemblk_allocator *kmemblk_allocator(void);

#ifdef __cplusplus
}
#endif

#endif /* KMEMBLK_ALLOCATOR_H */
