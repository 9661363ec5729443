/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool-user.c - a module for allocator=: examples/allocator.c with somebody who uses it.
 *
 * One thread fills the pool with objects of all sizes, up to USER_BYTES of them, and keeps looking at
 * them and changing some.  When the disk wants memory back it frees the oldest.  An object that is not
 * as it was left means that the disk has stored to memory that it had lent; "pool: an object changed"
 * on stderr tells.  "pool: held N KiB at most" at the end.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmemblk-allocator.h"

void *pool_alloc(size_t size);
void pool_free(void *object);
void pool_on_shrink(bool (*fn)(size_t length));
/* examples/allocator.c, under another name. */
const struct kmemblk_allocator *pool_allocator(void);

#define OBJECTS 65536u

static struct object {
	unsigned char *bytes;
	size_t size;
	unsigned char fill;
} objects[OBJECTS];
static unsigned int oldest, newest;
static size_t held, most, limit;
static _Atomic size_t wanted;
static _Atomic bool ending;
static pthread_t thread;

static void look_at(const struct object *object)
{
	for (size_t i = 0; i < object->size; i++)
		if (object->bytes[i] != object->fill) {
			fprintf(stderr, "pool: an object changed\n");
			return;
		}
}

static void free_oldest(void)
{
	struct object *object = &objects[oldest++ % OBJECTS];

	look_at(object);
	held -= object->size;
	pool_free(object->bytes);
}

static bool add_object(unsigned int *seed)
{
	struct object *object = &objects[newest % OBJECTS];
	size_t size = 1 + (size_t)rand_r(seed) % (rand_r(seed) % 64 == 0 ? 300000 : 3000);

	if (newest - oldest == OBJECTS || held + size > limit)
		return false;
	object->bytes = pool_alloc(size);
	if (object->bytes == NULL)
		return false;
	object->size = size;
	object->fill = (unsigned char)rand_r(seed);
	memset(object->bytes, object->fill, size);
	newest++;
	held += size;
	most = held > most ? held : most;
	return true;
}

static void *use(void *opaque)
{
	unsigned int seed = 1;

	(void)opaque;
	while (!ending) {
		size_t want = atomic_exchange(&wanted, 0), before = held;

		while (want > 0 && oldest != newest && before - held < want + want / 4)
			free_oldest();
		for (unsigned int i = 0; want == 0 && i < 100; i++)
			if (!add_object(&seed))
				break;
		for (unsigned int i = 0; i < 20 && oldest != newest; i++) {
			struct object *object = &objects[(oldest + (unsigned int)rand_r(&seed) %
									   (newest - oldest)) %
							 OBJECTS];

			look_at(object);
			object->fill++;
			memset(object->bytes, object->fill, object->size);
		}
		usleep(wanted > 0 ? 0 : 500);
	}
	fprintf(stderr, "pool: held %zu KiB at most, %zu at the end\n", most >> 10, held >> 10);
	while (oldest != newest)
		free_oldest();
	return NULL;
}

static bool shrink(size_t length)
{
	wanted = length;
	return true;
}

static int start(const struct kmemblk_allocator_calls *calls)
{
	const char *bytes = getenv("USER_BYTES");
	int rc = pool_allocator()->start(calls);

	limit = bytes != NULL ? strtoull(bytes, NULL, 0) : SIZE_MAX;
	pool_on_shrink(shrink);
	return rc != 0 ? rc : -pthread_create(&thread, NULL, use, NULL);
}

static void stop(void)
{
	ending = true;
	pthread_join(thread, NULL);
}

const struct kmemblk_allocator *kmemblk_allocator(void)
{
	static struct kmemblk_allocator allocator;

	allocator = *pool_allocator();
	allocator.start = start;
	allocator.stop = stop;
	return &allocator;
}
