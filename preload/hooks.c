/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hooks.c - where jemalloc's memory comes from: extent hooks.
 *
 * A program's own jemalloc (allocator.c) has allocated before it gets them.  That memory stays where it is, which
 * is why the hooks know both kinds of memory.
 */
#include "config.h"

#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "environment.h"
#include "heap.h"
#include "helper.h"
#include "helping.h"
#include "hooks.h"
#include "libc.h"

/* For an alignment that the heap does not have. */
static void *take_outside(size_t size, size_t alignment, bool *clean)
{
	uint8_t *range, *memory;

	if (heap.strict)
		return NULL;
	range = mmap(NULL, size + alignment, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED)
		return NULL;
	memory = range + (-(uintptr_t)range & (alignment - 1));
	if (memory > range)
		munmap(range, (size_t)(memory - range));
	munmap(memory + size, alignment - (size_t)(memory - range));
	*clean = true;
	return memory;
}

static void *take(extent_hooks_t *hooks, void *at, size_t size, size_t alignment, bool *zero,
		  bool *commit, unsigned int arena)
{
	bool clean = false;
	void *memory;

	(void)hooks;
	(void)arena;
	if ((heap.strict || heap.grown > HEAP_SMALL / HEAP_SLOT) && helper_is_due())
		helper_start();
	if (at != NULL)
		memory = heap_has(at) && heap_take_at(at, size, &clean) ? at : NULL;
	else if (alignment <= HEAP_ALIGNMENT)
		memory = heap_take(size, alignment, &clean);
	else
		memory = take_outside(size, alignment, &clean);
	if (memory == NULL)
		return NULL;
	if (*zero && !clean)
		memset(memory, 0, size);
	*zero = *zero || clean;
	*commit = true;
	return memory;
}

static bool give(extent_hooks_t *hooks, void *memory, size_t size, bool committed,
		 unsigned int arena)
{
	(void)hooks;
	(void)committed;
	(void)arena;
	if (!heap_has(memory))
		return munmap(memory, size);
	heap_give(memory, size);
	return false;
}

static void destroy(extent_hooks_t *hooks, void *memory, size_t size, bool committed,
		    unsigned int arena)
{
	give(hooks, memory, size, committed, arena);
}

/* A zone's storage is the device's: there is nothing to give up but the whole of it. */
static bool purge(extent_hooks_t *hooks, void *memory, size_t size, size_t offset, size_t length,
		  unsigned int arena)
{
	(void)hooks;
	(void)size;
	(void)arena;
	if (heap_has(memory))
		return true;
	return NEXT(madvise)((uint8_t *)memory + offset, length, MADV_DONTNEED);
}

static bool split(extent_hooks_t *hooks, void *memory, size_t size, size_t a, size_t b,
		  bool committed, unsigned int arena)
{
	(void)hooks;
	(void)memory;
	(void)size;
	(void)a;
	(void)b;
	(void)committed;
	(void)arena;
	return false;
}

static bool merge(extent_hooks_t *hooks, void *a, size_t a_size, void *b, size_t b_size,
		  bool committed, unsigned int arena)
{
	(void)hooks;
	(void)a_size;
	(void)b_size;
	(void)committed;
	(void)arena;
	return heap_has(a) != heap_has(b);
}

/* What is never done here.  Not NULL, for a program that calls the hooks in whose place it puts its own. */
static bool refuse(extent_hooks_t *hooks, void *memory, size_t size, size_t offset, size_t length,
		   unsigned int arena)
{
	(void)hooks;
	(void)memory;
	(void)size;
	(void)offset;
	(void)length;
	(void)arena;
	return true;
}

static extent_hooks_t hooks = {
	.alloc = take,
	.dalloc = give,
	.destroy = destroy,
	.commit = refuse,
	.decommit = refuse,
	.purge_lazy = refuse,
	.purge_forced = purge,
	.split = split,
	.merge = merge,
};

/* "arena.<every arena>.decay" and so on. */
#define EVERY_ARENA(what) "arena.4096." what

static mallctl_function *ctl;

int hooks_set(mallctl_function *jemallocs)
{
	extent_hooks_t *ours = &hooks;
	bool was_helper = is_helper;
	char name[64];
	int rc = 0;

	ctl = jemallocs;
	/* An arena's own tables: jemalloc has locks meanwhile that the helper may wait for. */
	is_helper = true;
	for (unsigned int arena = 0; rc == 0 && arena < ARENAS; arena++) {
		snprintf(name, sizeof(name), "arena.%u.extent_hooks", arena);
		rc = -ctl(name, NULL, NULL, &ours, sizeof(ours));
	}
	is_helper = was_helper;
	return rc;
}

void hooks_decay(void)
{
	ctl(EVERY_ARENA("decay"), NULL, NULL, NULL, 0);
}

void hooks_purge(void)
{
	ctl(EVERY_ARENA("purge"), NULL, NULL, NULL, 0);
}
