/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * allocator.c - the program's malloc: its own while its heap is small, then jemalloc.
 *
 * A small program keeps the malloc that it has without us, which is libc's as a rule: to start jemalloc costs
 * more than `true` takes, and jemalloc's part of each fork more than the rest of it.  What that malloc has
 * given is counted, and when it is past HEAP_SMALL the helper is started, which starts jemalloc and lets it have
 * what is allocated from then on.  All memory of this jemalloc is in the heap's range, so an address
 * tells whose memory is.  What is given back, or made larger, goes to its owner; only what grows moves over.
 *
 * jemalloc is part of this library, with names of its own (jemalloc.names), and not loaded when it is needed: by
 * then the program may have no room for its thread-local variables and no way to its file, and another thread
 * may fork, or wait for one that forks, with a lock of the dynamic linker's.
 *
 * A program that is linked with jemalloc may use the rest of its interface, which must know all memory.  So
 * that jemalloc gets its hooks at the start, and stays.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "base/error.h"
#include "environment.h"
#include "heap.h"
#include "helper.h"
#include "hooks.h"
#include "libc.h"

/* Of ours, by jemalloc.names. */
void *jemalloc_malloc(size_t size);
void *jemalloc_calloc(size_t number, size_t size);
void *jemalloc_realloc(void *memory, size_t size);
void jemalloc_free(void *memory);
int jemalloc_posix_memalign(void **memory, size_t alignment, size_t size);
void *jemalloc_aligned_alloc(size_t alignment, size_t size);
void *jemalloc_memalign(size_t alignment, size_t size);
size_t jemalloc_usable_size(void *memory);
mallctl_function jemalloc_mallctl;

/* Stronger than what the user has in MALLOC_CONF: all memory must come from the hooks. */
extern const char *jemalloc_options;
const char *jemalloc_options = JEMALLOC_OPTIONS ",hpa:false,prof:false";

/* What jemalloc asks the environment for, at a time when the program may be changing that. */
static char user_options[1024];

/* jemalloc's name for secure_getenv(). */
char *jemalloc_getenv(const char *name);

char *jemalloc_getenv(const char *name)
{
	return strcmp(name, "MALLOC_CONF") == 0 ? user_options : NULL;
}

struct allocator {
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t number, size_t size);
	void *(*realloc)(void *memory, size_t size);
	void (*free)(void *memory);
	int (*posix_memalign)(void **memory, size_t alignment, size_t size);
	void *(*aligned_alloc)(size_t alignment, size_t size);
	void *(*memalign)(size_t alignment, size_t size);
	size_t (*usable_size)(void *memory);
};

static const struct allocator jemalloc = {
	.malloc = jemalloc_malloc,
	.calloc = jemalloc_calloc,
	.realloc = jemalloc_realloc,
	.free = jemalloc_free,
	.posix_memalign = jemalloc_posix_memalign,
	.aligned_alloc = jemalloc_aligned_alloc,
	.memalign = jemalloc_memalign,
	.usable_size = jemalloc_usable_size,
};

/* The program's own; and the one that allocates now. */
static struct allocator own;
static const struct allocator *_Atomic present;
/* Whose the heap's range is.  Constant once the heap is there. */
static const struct allocator *of_heap = &jemalloc;
/* What the program's own gives is counted.  Constant once there are threads. */
static bool watched;

/* ---- which one ------------------------------------------------------------------------------ */

/* The first call of malloc is long before there are threads: the order is that of get_present(). */
static __attribute__((noinline)) const struct allocator *look_up(void)
{
	own = (struct allocator){
		.malloc = NEXT(malloc),
		.calloc = NEXT(calloc),
		.realloc = NEXT(realloc),
		.free = NEXT(free),
		.posix_memalign = NEXT(posix_memalign),
		.aligned_alloc = NEXT(aligned_alloc),
		.memalign = NEXT(memalign),
		.usable_size = NEXT(malloc_usable_size),
	};
	atomic_store_explicit(&present, &own, memory_order_release);
	return &own;
}

static inline const struct allocator *get_present(void)
{
	/* Acquire, with the release of who has stored it: `own` is filled, and jemalloc has its hooks. */
	const struct allocator *now = atomic_load_explicit(&present, memory_order_acquire);

	return __builtin_expect(now != NULL, 1) ? now : look_up();
}

static inline const struct allocator *get_owner(const void *memory)
{
	if (heap_has(memory))
		return of_heap;
	(void)get_present();
	return &own;
}

/* The heap has no larger alignment than HEAP_ALIGNMENT. */
static const struct allocator *get_for(size_t alignment)
{
	const struct allocator *now = get_present();

	return alignment > HEAP_ALIGNMENT && !heap.strict ? &own : now;
}

static bool is_same_object(const void *code, const void *other)
{
	Dl_info its, others;

	return dladdr(code, &its) != 0 && dladdr(other, &others) != 0 &&
	       its.dli_fbase == others.dli_fbase;
}

bool allocator_has_code(const void *code)
{
	(void)get_present();
	return is_same_object(code, (void *)own.malloc);
}

int allocator_init(void)
{
	mallctl_function *ctl = (mallctl_function *)dlsym(RTLD_NEXT, "mallctl");
	const char *options = getenv("MALLOC_CONF");
	int rc;

	(void)get_present();
	if (ctl == NULL || !allocator_has_code((void *)ctl)) {
		/* One that does not say how large its memory is stays. */
		watched = allocator_has_code((void *)own.usable_size);
		snprintf(user_options, sizeof(user_options), "%s", options != NULL ? options : "");
		return 0;
	}
	of_heap = &own;
	rc = hooks_set(ctl);
	return rc != 0 ? fail_errno(-rc, "borrow: the program's jemalloc does not take its hooks")
		       : 0;
}

int allocator_exchange(void)
{
	int rc;

	if (of_heap == &own || get_present() == &jemalloc)
		return 0;
	if (!watched)
		return fail(EOPNOTSUPP,
			    "borrow: the program has a malloc that does not say how large "
			    "its memory is, beside which no other can be used");
	rc = hooks_set(jemalloc_mallctl);
	if (rc != 0)
		return fail_errno(-rc, "borrow: jemalloc does not take its hooks");
	/* Release: who finds it finds jemalloc with its hooks, so that all memory of it is in the heap. */
	atomic_store_explicit(&present, &jemalloc, memory_order_release);
	return 0;
}

/* ---- how much the program's own has given --------------------------------------------------- */

/* A thread counts by itself up to so much, since what all of them count together is slow. */
#define STEP ((ptrdiff_t)64 << 10)

static __thread ptrdiff_t counted __attribute__((tls_model("initial-exec")));
static _Atomic ptrdiff_t given, most_given;

/*
 * How much all have.  Not below 0: what a thread had counted when it ended is lost, and what it had allocated may
 * be given back by others.  Relaxed throughout: these numbers order nothing.
 */
static ptrdiff_t add_up(void)
{
	ptrdiff_t before = atomic_load_explicit(&given, memory_order_relaxed), after, most;

	do {
		after = before + counted > 0 ? before + counted : 0;
	} while (!atomic_compare_exchange_weak_explicit(
		&given, &before, after, memory_order_relaxed, memory_order_relaxed));
	counted = 0;
	most = atomic_load_explicit(&most_given, memory_order_relaxed);
	while (after > most &&
	       !atomic_compare_exchange_weak_explicit(&most_given, &most, after,
						      memory_order_relaxed, memory_order_relaxed))
		;
	return after;
}

/* It may be worth while to borrow. */
static __attribute__((noinline)) void note_growth(void)
{
	int saved = errno;

	if (add_up() > (ptrdiff_t)HEAP_SMALL && helper_is_due())
		helper_start();
	errno = saved;
}

static inline void count(ptrdiff_t bytes)
{
	counted += bytes;
	if (counted > STEP || counted < -STEP)
		note_growth();
}

/* The program's own has given it.  Apart, so that a program that borrows pays nothing for it. */
static __attribute__((noinline)) void *taken(void *memory)
{
	if (watched)
		count((ptrdiff_t)own.usable_size(memory));
	return memory;
}

size_t allocator_most(void)
{
	if (watched)
		add_up();
	return (size_t)atomic_load_explicit(&most_given, memory_order_relaxed);
}

/* ---- malloc --------------------------------------------------------------------------------- */

void *malloc(size_t size)
{
	const struct allocator *now = get_present();

	return now == &own ? taken(own.malloc(size)) : now->malloc(size);
}

void *calloc(size_t number, size_t size)
{
	const struct allocator *now = get_present();

	return now == &own ? taken(own.calloc(number, size)) : now->calloc(number, size);
}

static __attribute__((noinline)) void free_own(void *memory)
{
	(void)get_present();
	if (watched)
		count(-(ptrdiff_t)own.usable_size(memory));
	own.free(memory);
}

void free(void *memory)
{
	if (memory == NULL)
		return;
	if (heap_has(memory))
		of_heap->free(memory);
	else
		free_own(memory);
}

/* The program's own malloc gave it, and allocates no more. */
static void *move(void *memory, size_t size)
{
	size_t had = own.usable_size(memory);
	void *to;

	if (size <= had)
		return own.realloc(memory, size);
	to = jemalloc.malloc(size);
	if (to == NULL)
		return NULL;
	memcpy(to, memory, had);
	own.free(memory);
	return to;
}

void *realloc(void *memory, size_t size)
{
	const struct allocator *now = get_present(), *its;
	ptrdiff_t had;
	void *to;

	if (memory == NULL)
		return malloc(size);
	its = get_owner(memory);
	if (its != now)
		return move(memory, size);
	if (its != &own || !watched)
		return its->realloc(memory, size);
	had = (ptrdiff_t)own.usable_size(memory);
	to = own.realloc(memory, size);
	if (to != NULL || size == 0)
		count((ptrdiff_t)own.usable_size(to) - had);
	return to;
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
	const struct allocator *now = get_for(alignment);
	int rc = now->posix_memalign(memory, alignment, size);

	if (rc == 0 && now == &own)
		taken(*memory);
	return rc;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	const struct allocator *now = get_for(alignment);

	return now == &own ? taken(own.aligned_alloc(alignment, size))
			   : now->aligned_alloc(alignment, size);
}

void *memalign(size_t alignment, size_t size)
{
	const struct allocator *now = get_for(alignment);

	return now == &own ? taken(own.memalign(alignment, size)) : now->memalign(alignment, size);
}

void *valloc(size_t size)
{
	return memalign(HEAP_PAGE, size);
}

void *pvalloc(size_t size)
{
	if (size > SIZE_MAX - HEAP_PAGE) {
		errno = ENOMEM;
		return NULL;
	}
	return memalign(HEAP_PAGE, (size + HEAP_PAGE - 1) & ~(HEAP_PAGE - 1));
}

size_t malloc_usable_size(void *memory)
{
	return memory != NULL ? get_owner(memory)->usable_size(memory) : 0;
}
