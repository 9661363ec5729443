/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holder.c - a module for allocator= that takes all it is offered and borrows what it can get.
 *
 * HOLDER in the environment says how it behaves:
 *
 *   yields     gives back what it is asked for, at once, the latest first
 *   late       says that it will, and does so from another thread
 *   refuses    gives nothing back
 *   fails      its start fails
 *
 * All that it holds is filled with a pattern; "holder: memory changed" on stderr tells that the disk
 * has stored to it meanwhile.  "holder: asked" tells each call of recall.  What is offered or
 * borrowed and not zeroed is told, too.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmemblk-allocator.h"

#define PAGE	 4096u
#define PATTERN	 0xa7
#define RUNS	 65536u
#define RUN_SIZE ((size_t)64 << 10)

static const struct kmemblk_allocator_calls *calls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;
static struct run {
	unsigned char *memory;
	size_t length;
} runs[RUNS];
static unsigned int count;
static size_t wanted;
static bool ending;
static pthread_t thread;
static const char *manner = "yields";

static bool all(const unsigned char *memory, size_t length, unsigned char value)
{
	return memory[0] == value && memcmp(memory, memory + 1, length - 1) == 0;
}

static void hold(unsigned char *memory, size_t length)
{
	if (!all(memory, length, 0))
		fprintf(stderr, "holder: memory is not zeroed\n");
	memset(memory, PATTERN, length);
	runs[count++] = (struct run){ memory, length };
}

static void give(size_t length)
{
	while (length > 0 && count > 0) {
		struct run *run = &runs[count - 1];
		size_t part = run->length < length ? run->length : length;

		if (!all(run->memory, run->length, PATTERN))
			fprintf(stderr, "holder: memory changed\n");
		run->length -= part;
		if (calls->give_back(calls->device, run->memory + run->length, part) != 0)
			fprintf(stderr, "holder: %s\n", calls->error());
		length -= part;
		if (run->length == 0)
			count--;
	}
}

static void *give_late(void *opaque)
{
	(void)opaque;
	pthread_mutex_lock(&lock);
	while (!ending) {
		if (wanted == 0) {
			pthread_cond_wait(&asked, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		usleep(20000);
		pthread_mutex_lock(&lock);
		give(wanted);
		wanted = 0;
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static int start(const struct kmemblk_allocator_calls *given)
{
	void *memory;

	calls = given;
	manner = getenv("HOLDER");
	if (manner == NULL || strcmp(manner, "fails") == 0)
		return -ENODEV;
	pthread_mutex_lock(&lock);
	/* Half of the table is left for what is offered. */
	while (count < RUNS / 2 && calls->borrow(calls->device, RUN_SIZE, PAGE, &memory) == 0)
		hold(memory, RUN_SIZE);
	fprintf(stderr, "holder: borrowed %u runs\n", count);
	pthread_mutex_unlock(&lock);
	return -pthread_create(&thread, NULL, give_late, NULL);
}

static int on_offer(void *opaque, void *memory, size_t length)
{
	bool take;

	(void)opaque;
	pthread_mutex_lock(&lock);
	take = count < RUNS;
	if (take)
		hold(memory, length);
	pthread_mutex_unlock(&lock);
	return take;
}

static int on_recall(void *opaque, size_t length)
{
	bool late = strcmp(manner, "late") == 0;

	(void)opaque;
	fprintf(stderr, "holder: asked for %zu\n", length);
	if (strcmp(manner, "refuses") == 0)
		return 0;
	pthread_mutex_lock(&lock);
	if (late) {
		wanted = length;
		pthread_cond_signal(&asked);
	} else {
		give(length);
	}
	pthread_mutex_unlock(&lock);
	return late;
}

static void stop(void)
{
	size_t held = 0;

	pthread_mutex_lock(&lock);
	ending = true;
	pthread_cond_signal(&asked);
	for (unsigned int i = 0; i < count; i++)
		held += runs[i].length;
	fprintf(stderr, "holder: held %zu pages at the end\n", held / PAGE);
	give(held);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
}

const struct kmemblk_allocator *kmemblk_allocator(void)
{
#ifdef HOLDER_VERSION
	static const unsigned int version = HOLDER_VERSION;
#else
	static const unsigned int version = KMEMBLK_ALLOCATOR_VERSION;
#endif
	static struct kmemblk_allocator allocator = {
		.start = start,
		.offer = on_offer,
		.recall = on_recall,
		.stop = stop,
	};

	allocator.version = version;
	return &allocator;
}
